"""Real servers on loopback for the tests: object stores, and a proxy that makes them falter."""
