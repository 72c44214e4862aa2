"""Complete apps; `stream-durable demo` shows the first."""
