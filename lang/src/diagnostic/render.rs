//! A diagnostic becomes a picture (miette, only here), a line, or JSON-ready values.
