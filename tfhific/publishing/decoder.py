"""Publishing another decoder for a codec's files without what is the codec's own."""

from __future__ import annotations

import os

from tfhific.errors import ModelError
from tfhific.published.decoder import DecoderModel, codec_folder
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.model import PublishedModel
from tfhific.published.store import load_hyperprior, load_model, read_model


def decoder_alone(model: PublishedModel, folder: str) -> PublishedModel:
    """The decoder of a model alone, where all the rest is another codec's.

    Args:
      model: with the decoder.
      folder: of the codec whose files the model decodes, or of another decoder for its files.

    Returns:
      A `DecoderModel`, or the model as it is, where more than the synthesis transform differs: of
      HiFiC the discriminator does, which is published too.

    Raises:
      ModelError: when the folder holds no model with a hyperprior.
    """
    beside = read_model(folder)
    if isinstance(beside, DecoderModel):
        folder = codec_folder(beside.decoder_of, folder)
    codec = load_hyperprior(folder)
    if not isinstance(model, HyperpriorModel):
        return model
    try:
        return DecoderModel.of(model, codec, os.path.basename(os.path.abspath(folder)))
    except ModelError:
        return model


def missing_codec(model: PublishedModel, folder: str) -> str:
    """Why a decoder alone can't be loaded from the folder it was written to; empty where it can.

    Its codec lies beside it, or where models are looked for by name, or has to be put there.
    """
    if isinstance(model, DecoderModel):
        try:
            load_model(folder)
        except ModelError as error:
            return str(error)
    return ""
