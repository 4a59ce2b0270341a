"""The cutting room: the report's page alive on loopback, where takes are asked for and picked."""
