"""report.html: one page of what the other stages left. It computes no results, it shows what files hold. Importing this room starts no MPI."""
