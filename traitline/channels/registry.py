"""Every channel by name and by wording, found among the files of `traitline/channels/types/`.

Nothing lists them: a new file there is a new channel. The code digest counts all of them for a stage that imports this
module (`traitline.provenance.digest`).
"""

import functools
import importlib
import inspect
import pkgutil

import traitline.channels.types
from traitline.channels.channel import Channel
from traitline.errors import InputError


@functools.cache
def channels() -> dict[str, Channel]:
    """Return name -> channel, in the order of the files.

    Raises:
        InputError: two channels share a name or a wording.
    """
    known = dict[str, Channel]()
    owners = dict[str, str]()
    for file in sorted(module.name for module in pkgutil.iter_modules(traitline.channels.types.__path__)):
        module = importlib.import_module(f"traitline.channels.types.{file}")
        for value in vars(module).values():
            if not (inspect.isclass(value) and issubclass(value, Channel) and value.__module__ == module.__name__):
                continue
            channel = value()
            for word in (f"name {channel.name}", *(f"wording {wording}" for wording in channel.wordings)):
                if word in owners:
                    raise InputError(f"{module.__file__}: the {word} is that of {owners[word]} too; choose another")
                owners[word] = file
            known[channel.name] = channel
    return known


@functools.cache
def wordings() -> dict[str, Channel]:
    """Return wording -> the channel that it asks for."""
    return {wording: channel for channel in channels().values() for wording in channel.wordings}


def reasons() -> dict[str, str]:
    """Return reason -> what it means; where channels share a reason, the last one's words."""
    return {reason: meaning for channel in channels().values() for reason, meaning in channel.reasons.items()}


def describe() -> str:
    """Return what each channel asks for, in its own words: for the reference of the configuration."""
    return " ".join(channel.about for channel in channels().values())
