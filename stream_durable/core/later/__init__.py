"""The later entity: one signal or event that is sent at a moment, unless cancelled before."""
