//! OpenSSL wrapped safely: a leaf that knows no Asterisk, no sockets and no clocks.
