"""What EmbedMe is measured against: one file, one model, which names where it comes from."""
