//! Wires everything and owns the listeners.
