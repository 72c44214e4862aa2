"""State in Postgres: the store of the engine, the views of the clients, the migrations."""
