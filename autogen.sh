#!/bin/sh
# Makes ./configure. Needs autoconf >= 2.69 and automake.
cd "$(dirname "$0")" && exec autoreconf -fi
