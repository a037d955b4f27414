//! Lines as others read them, and the writer with real files, pipes and sockets.
