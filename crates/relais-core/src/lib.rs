//! Every decision of Relais: commands, events, vocabulary, capabilities, ports, dispatch. No I/O, no clock.
