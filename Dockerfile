# syntax=docker/dockerfile:1
# storyreel with all that it needs, and the command `prefect` for a worker or a server.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
RUN python -m venv /opt/storyreel
ENV PATH=/opt/storyreel/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && pip install --constraint constraints.txt "$(echo /wheels/*.whl)[postgres,voice]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/storyreel /opt/storyreel
# Whoever runs it needs no entry in /etc/passwd: a folder of films may belong to any user of the host. The folder for
# films is there so that a volume that is mounted on it belongs to the image's user.
ENV PATH=/opt/storyreel/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1
RUN install --directory --owner=10001 --group=10001 /films
WORKDIR /films
USER 10001:10001
# No ENTRYPOINT: Prefect's docker and kubernetes pools run `prefect flow-run execute` in it. And no STORYREEL_ROOT, which
# would say that what is in /films stays: only who mounts a volume there can say so.
CMD ["storyreel", "--help"]
