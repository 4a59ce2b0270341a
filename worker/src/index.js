// The image API of storyreel's `flux` endpoints, on Workers AI: a prompt in, a picture and its bill out.

const MODEL = "@cf/black-forest-labs/flux-1-schnell";
const DEFAULT_STEPS = 4;
const MAX_STEPS = 8;
const MAX_PROMPT_CHARS = 2048;
const ASPECT_RATIOS = ["1:1", "16:9", "9:16", "4:3", "3:4"];
const MAX_BODY_BYTES = 64 << 10;

// The API's prices, in millionths of a dollar and tenths of a neuron: whole numbers add up exactly.
const TILE_EDGE_PX = 512;
const MICRO_USD = { tile: 53, step: 110 };
const DECINEURONS = { tile: 48, step: 96 };
const THB_PER_USD = 35;

// Workers AI's error numbers by what they mean to the client. Those that are not listed here are answered with 502.
// developers.cloudflare.com/workers-ai/platform/errors; 3021, 3030, 4006, 5006, 5035 and 8007 are not on that page.
const NUMBERS_BY_STATUS = {
  400: [3003, 5004, 5005, 5006], // the request is wrong
  403: [3023, 3041, 5016, 5018, 5035], // the account may not
  404: [3039, 3042, 5007, 5019], // there is no such model
  413: [3006], // too large
  422: [3030], // the prompt, or the picture, was taken for unsafe
  429: [3021, 3036, 4006], // too many requests in a minute; the free neurons of the day are used up
  503: [3040], // no machine is free; nothing was generated
  504: [3007, 3008], // it took too long
};
const STATUS_BY_NUMBER = new Map(
  Object.entries(NUMBERS_BY_STATUS).flatMap(([status, numbers]) => numbers.map((number) => [number, Number(status)])),
);
const ALLOCATION_NUMBERS = [3036, 4006];
const CAPACITY_NUMBER = 3040;
// Workers AI says no time; it is a matter of seconds.
const CAPACITY_RETRY_S = 10;
const SECONDS_PER_DAY = 86_400;

const BILL_HEADERS = "X-Cost-USD, X-Cost-THB, X-Neurons-Used, X-Image-Width, X-Image-Height, X-Steps, X-Tiles, X-Model";
const CORS_HEADERS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
  "Access-Control-Allow-Headers": "Authorization, Content-Type",
  "Access-Control-Expose-Headers": `${BILL_HEADERS}, Retry-After`,
  // Every OPTIONS counts as a request of the account's: a page asks once a day, or as rarely as its browser lets it.
  "Access-Control-Max-Age": String(SECONDS_PER_DAY),
};

/** An answer that is no picture: its status, its `error`, and headers that go with it. */
class ApiError extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export default {
  async fetch(request, env) {
    try {
      return await respond(request, env);
    } catch (error) {
      // Anything else is a fault of this program, which Cloudflare logs and answers with a page of its own.
      if (!(error instanceof ApiError)) throw error;
      const headers = { ...CORS_HEADERS, ...error.headers };
      return Response.json({ error: error.message }, { status: error.status, headers });
    }
  },
};

async function respond(request, env) {
  const address = new URL(request.url);
  if (address.pathname !== "/") throw new ApiError(404, "Not Found");
  switch (request.method) {
    case "POST":
      await requireToken(request, env.TOKEN);
      return generate(parseRequest(await readBody(request)), env.AI);
    case "GET":
    case "HEAD":
      return new Response(welcome(address.origin, env.TOKEN), { headers: CORS_HEADERS });
    case "OPTIONS":
      return new Response(null, { status: 204, headers: CORS_HEADERS });
    default:
      throw new ApiError(405, "Method Not Allowed", { Allow: "GET, HEAD, OPTIONS, POST" });
  }
}

function welcome(address, token) {
  const authorization = token === undefined ? "" : ' -H "Authorization: Bearer $TOKEN"';
  return `POST a prompt, get a JPEG; its cost is in the headers.

  curl ${address}${authorization} -H "Content-Type: application/json" -d '{"prompt": "a harbor at dawn"}' -o image.jpg

Besides: "steps", 1 to ${MAX_STEPS}, and "aspectRatio", one of ${ASPECT_RATIOS.join(", ")}. The model makes 1024x1024,
whatever ratio is asked for: X-Image-Width and X-Image-Height say what was made.
`;
}

/** Refuse a request without the token; where none is set, anyone may ask. */
async function requireToken(request, token) {
  if (token === undefined) return;
  const sent = await digest(request.headers.get("Authorization") ?? "");
  const expected = await digest(`Bearer ${token}`);
  // The time that a comparison takes must not tell how much of a guess is right.
  if (!crypto.subtle.timingSafeEqual(sent, expected)) {
    throw new ApiError(401, "Authentication error", { "WWW-Authenticate": "Bearer" });
  }
}

function digest(text) {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

/** Return the value of a bounded JSON body. */
async function readBody(request) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new ApiError(400, "Request body is too large");
      text += decoder.decode(chunk, { stream: true });
    }
    return JSON.parse(text + decoder.decode());
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(400, "Request body must be JSON");
  }
}

/** Return what the model is asked for, with the API's defaults for what the body leaves out. */
function parseRequest(body) {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ApiError(400, "Request body must be a JSON object");
  }
  const { prompt, steps = DEFAULT_STEPS, aspectRatio = ASPECT_RATIOS[0] } = body;
  requirePrompt(prompt);
  if (!Number.isInteger(steps) || steps < 1 || steps > MAX_STEPS) {
    throw new ApiError(400, `Steps must be a whole number from 1 to ${MAX_STEPS}`);
  }
  if (!ASPECT_RATIOS.includes(aspectRatio)) {
    throw new ApiError(400, `aspectRatio must be one of ${ASPECT_RATIOS.join(", ")}`);
  }
  // The model takes no size: the ratio is checked, as the API does, and goes no further.
  return { prompt, steps };
}

function requirePrompt(prompt) {
  if (prompt === undefined || prompt === null || prompt === "") throw new ApiError(400, "Prompt is required");
  if (typeof prompt !== "string") throw new ApiError(400, "Prompt must be a string");
  if (!prompt.trim()) throw new ApiError(400, "Prompt is required");
  // Code points, where .length would count an emoji twice.
  if ([...prompt].length > MAX_PROMPT_CHARS) {
    throw new ApiError(400, `Prompt must be at most ${MAX_PROMPT_CHARS} characters`);
  }
}

/** Answer with a picture, and with the bill for what it is: its size is measured, not assumed. */
async function generate(inputs, ai) {
  if (!ai) throw new ApiError(500, "Authentication error: this Worker has no Workers AI binding named AI");
  const image = decodeImage(await runModel(inputs, ai));
  const size = jpegSize(image);
  if (!size) throw new ApiError(500, "Failed to generate image: Workers AI answered with something other than a JPEG");
  return new Response(image, {
    headers: { ...CORS_HEADERS, "Content-Type": "image/jpeg", ...billHeaders(size, inputs.steps) },
  });
}

async function runModel(inputs, ai) {
  try {
    return await ai.run(MODEL, inputs);
  } catch (error) {
    throw modelError(error.message);
  }
}

/** Return the API's error for one of Workers AI's, whose number and words it keeps. */
function modelError(message) {
  // At the beginning, or after the name of an error; the same digits elsewhere may be a request's id.
  const number = Number(/(?:^|: )(\d{4}):/.exec(message)?.[1]);
  // 8007 is said of all that fails within the model, its safety filter included.
  const status = STATUS_BY_NUMBER.get(number) ?? (/nsfw/i.test(message) ? 422 : 502);
  return new ApiError(status, message || "Workers AI gave no reason", retryHeaders(number));
}

function retryHeaders(number) {
  if (number === CAPACITY_NUMBER) return { "Retry-After": String(CAPACITY_RETRY_S) };
  if (ALLOCATION_NUMBERS.includes(number)) return { "Retry-After": String(secondsUntilMidnight()) };
  return {};
}

/** Return the seconds until 00:00 UTC, when the free neurons of the next day are there. */
function secondsUntilMidnight() {
  return SECONDS_PER_DAY - (Math.floor(Date.now() / 1000) % SECONDS_PER_DAY);
}

function decodeImage(answer) {
  try {
    return Uint8Array.fromBase64(answer.image);
  } catch {
    throw new ApiError(500, "Failed to generate image: Workers AI answered without one");
  }
}

/** Return the size in pixels that a JPEG's frame header states; undefined where there is none (ITU-T T.81, B.2.2). */
function jpegSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  // Each segment: 0xff, its marker, then its length in two bytes, which count themselves.
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    if (isFrameHeader(bytes[at + 1])) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return width && height ? { width, height } : undefined;
    }
  }
  return undefined;
}

function isFrameHeader(marker) {
  // The three among them are tables and a reserved one.
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

function billHeaders({ width, height }, steps) {
  const tiles = Math.ceil(width / TILE_EDGE_PX) * Math.ceil(height / TILE_EDGE_PX);
  const microUsd = tiles * MICRO_USD.tile + steps * MICRO_USD.step;
  const decineurons = tiles * DECINEURONS.tile + steps * DECINEURONS.step;
  return {
    "X-Cost-USD": (microUsd / 1e6).toFixed(6),
    "X-Cost-THB": ((microUsd * THB_PER_USD) / 1e6).toFixed(4),
    "X-Neurons-Used": (decineurons / 10).toFixed(1),
    "X-Image-Width": String(width),
    "X-Image-Height": String(height),
    "X-Steps": String(steps),
    "X-Tiles": String(tiles),
    "X-Model": MODEL.split("/").at(-1),
  };
}
