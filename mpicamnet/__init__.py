"""mpicamnet: breast histopathology at scale, one MPI program from slides to tumour heatmaps, measures and explanations."""
