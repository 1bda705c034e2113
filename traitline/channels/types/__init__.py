"""One file per channel: `traitline.channels.registry` finds what is here."""
