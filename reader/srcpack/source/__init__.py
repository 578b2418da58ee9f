"""Where bytes come from: files, memory, object stores and web servers."""
