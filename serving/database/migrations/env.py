"""Alembic's entry: runs the migrations on the connection that `serving.database.session` hands over."""

from __future__ import annotations

from alembic import context

from serving.database.tables import all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
