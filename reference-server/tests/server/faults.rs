//! Faults, as far as they can be seen without a suite.
