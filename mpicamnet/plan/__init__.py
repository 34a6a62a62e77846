"""What a run would do, before it is queued: work, time, bytes and memory by stage. Starts neither MPI nor TensorFlow."""
