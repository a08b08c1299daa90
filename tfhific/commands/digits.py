"""Judges a trained cgan: digits.py RUN --data=MNIST [--grid=OUT.png].

Prints the Parzen-window estimate of its log-likelihood (1000 samples of each class, the window
chosen on 10,000 validation pictures, measured on the test set), and how many samples of each class a
small classifier, trained here, takes for that class.
"""  # noqa: E501 (the text of --help)

from __future__ import annotations

from absl import flags

from tfhific.commands import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("data", None, "Folder with MNIST's four files.")
    flags.DEFINE_integer("samples", 1000, "Samples of each class.", lower_bound=1)
    flags.DEFINE_integer("validation", 10_000, "Pictures to choose the window on.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the samples' noise.")
    flags.DEFINE_bool("dropout", True, "Drop units of the generator as in training.")
    flags.DEFINE_bool("classifier", True, "Train a classifier and let it judge the samples.")
    paths.define_path("grid", None, "PNG to write: ten samples of each class, a row a class.")


def judge(argv: list[str]) -> int:
    from tfhific.errors import TfhificError

    if len(argv) != 2:
        raise TfhificError("Expected one argument, the folder of a run. See --help.")
    if not FLAGS.data:
        raise TfhificError("--data is needed. See --help.")
    if FLAGS.grid:
        from tfhific.files.file_kinds import extension

        if FLAGS.grid != "-" and extension(FLAGS.grid) != ".png":
            raise TfhificError(
                f"--grid: expected a name that ends in .png. Received: {FLAGS.grid}."
            )
        common.refuse_existing(FLAGS.grid, overwrite=False)
    from tfhific.data.idx import read_digits

    train, test = read_digits(FLAGS.data), read_digits(FLAGS.data, "test")
    common.start_tensorflow()
    import numpy as np

    from tfhific.evaluation.parzen import parzen_estimate
    from tfhific.training.restore import restore_trained

    model, training = restore_trained(argv[1])
    if training["system"] != "cgan":
        raise TfhificError(f"{argv[1]}: expected a run of cgan. It is one of {training['system']}.")
    classes = model.config.classes
    labels = np.repeat(np.arange(classes), FLAGS.samples)
    samples = model.sample(labels, FLAGS.seed, FLAGS.dropout).numpy()

    def flat(images):
        return images.reshape(len(images), -1).astype(np.float32) / 255.0

    # Training saw none of the last 10,000.
    validation = train.images[-10_000:][: FLAGS.validation]
    found = parzen_estimate(
        samples.reshape(len(samples), -1), flat(validation), flat(test.images), _sigmas()
    )
    print(
        f"step {training['step']}: Parzen log-likelihood {found.mean:.1f} +- {found.error:.1f} "
        f"nats (sigma {found.sigma:.3f}, {len(samples)} samples, {len(test)} test pictures)"
    )
    if FLAGS.classifier:
        _recognise(train, test, samples, labels)
    if FLAGS.grid:
        _write_grid(samples, classes)
    return 0


def _sigmas():
    import numpy as np

    return np.logspace(-1.0, -0.4, 13)


def _recognise(train, test, samples, labels) -> None:
    import numpy as np

    from tfhific.evaluation.recognition import accuracy_by_class, train_classifier

    classifier = train_classifier(train)
    real = accuracy_by_class(
        classifier, test.images[..., None].astype(np.float32) / 255.0, test.labels.astype(int)
    )
    made = accuracy_by_class(classifier, samples, labels)
    print(
        f"recognised: {100 * np.mean(made):.1f} % of the samples, {100 * np.mean(real):.1f} % of "
        "the test pictures"
    )
    print("by class: " + " ".join(f"{c}:{100 * share:.1f}%" for c, share in enumerate(made)))


def _write_grid(samples, classes: int) -> None:
    import numpy as np

    from tfhific.pictures.images import write_png

    count = min(10, FLAGS.samples)
    side = samples.shape[1]
    rows = samples.reshape(classes, -1, side, side)[:, :count]
    grid = rows.transpose(0, 2, 1, 3).reshape(classes * side, count * side)
    write_png(np.repeat(np.rint(grid * 255).astype(np.uint8)[..., None], 3, -1), FLAGS.grid)


def main(argv: list[str]) -> int:
    return common.guarded(lambda: judge(argv), argv, positional=1)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
