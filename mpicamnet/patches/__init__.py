"""Layer 1: slides to patches.h5. `stage` is collective, `store` writes for all ranks; the other modules know no MPI."""
