"""How the program scales: measured here, predicted for machines that are larger. `python -m scaling COMMAND`; see docs/scaling.md."""
