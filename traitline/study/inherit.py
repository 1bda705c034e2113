"""Inheritance between parts of a configuration, filled in before the configuration is checked."""

from collections.abc import Mapping
from typing import Any

from traitline.study.experiments import Defaults
from traitline.study.validation import require_known


def fill_channels(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give channels that filter the answers of another one (`of`) all settings that decide these answers.

    Raises:
        ValueError: a channel takes its answers from one that is missing or takes them from elsewhere itself, or says
            about them what its origin does not.
    """
    channels = raw.get("channels")
    if not isinstance(channels, dict):
        return raw
    filled = dict(channels)
    for label, channel in channels.items():
        if not isinstance(channel, dict) or "of" not in channel:
            continue
        require_known(f"channels.{label}.of", channel["of"], channels)
        origin = channels[channel["of"]]
        if not isinstance(origin, dict) or "of" in origin:
            raise ValueError(f"channels.{label}.of: {channel['of']} takes its answers from elsewhere itself; name that")
        for key, value in channel.items():
            if key not in ("of", "threshold", "banned") and origin.get(key) != value:
                raise ValueError(f"channels.{label}.{key}: the answers are those of {channel['of']}; leave it out")
        filled[label] = {**origin, **channel}
    return {**raw, "channels": filled}


def fill_rows(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give rows of `experiments` what `defaults` says of the keys that they leave out.

    Null in `defaults` is no default: an overlay takes one away with it. Null in a row is the row's own value.
    """
    defaults, rows = raw.get("defaults"), raw.get("experiments")
    if not isinstance(defaults, dict) or not isinstance(rows, list):
        return raw
    inherited = {key: value for key, value in defaults.items() if key in Defaults.model_fields and value is not None}
    filled = [{**inherited, **row} if isinstance(row, dict) else row for row in rows]
    return {**raw, "experiments": filled}
