"""What a run keeps on disk: rows, replies, the lock and the ledger."""
