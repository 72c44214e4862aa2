"""What authors write with: workflows, their steps, and the binding of parameters. Imports the core only."""
