//! Where a client is: database readers, the table of countries, trusted headers.
