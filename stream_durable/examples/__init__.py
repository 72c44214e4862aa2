"""Apps that work as they stand; `stream-durable demo` shows the first."""
