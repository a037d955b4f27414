//! Tests of what files make of TLS.
