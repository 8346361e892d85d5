//! The command `weir`.
