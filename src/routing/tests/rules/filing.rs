//! Large books of rules: that the right one is found, and how many are looked at.
