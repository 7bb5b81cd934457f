"""What must survive a restart but is no event: alert states, the outbox, cursors."""
