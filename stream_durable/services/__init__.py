"""How the assembled services run as processes: alone, side by side, and all of them on a laptop."""
