"""What every spike encoder shares: the call of a layer, parameters per channel, and the measure of what it keeps."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ..cells import Spec
from ..errors import DataError, OptionError, ShapeError, check_range, check_shape
from .encoder import Numbers, inside, spread

EXACT = (torch.float32, torch.float64)  # shorter floats cannot count samples


class SpikeEncoder(nn.Module):
    """Turn finite channels x (B,T,C) into spikes (B, T*steps, outputs) of 0 and 1; the parent of every spike encoder.

    A new encoder names its `channelwise` parameters and its `options`, and defines `state_spec`, `sequence`, `decode`
    and `for_data`; `testing.check_encoder` tells whether it is one. Its parameters are fixed: buffers, not learned.
    No gradient passes a spike.

    Parameters
    ----------
    steps : int, at least 1
        Substeps a sample: how many places a sample has for a spike.
    width : int, at least 1
        Outputs a channel.
    channelwise : (C,) floats each
        Numbers for each channel by name, in the unit of x, or tensors, whose dtype and device the encoder takes over.
    """

    channelwise: ClassVar[tuple[str, ...]] = ()  # constructor arguments kept as buffers (C,), in their order
    options: ClassVar[tuple[str, ...]] = ()  # constructor arguments kept as plain attributes
    State: ClassVar[Any] = None  # a NamedTuple class, where the state has several tensors
    delay: int = 0  # samples by which a spike lags behind what it stands for

    def __init__(self, *, steps: int = 1, width: int = 1, **channelwise: Numbers) -> None:
        super().__init__()
        for name, given in channelwise.items():
            kept = given if isinstance(given, Tensor) and given.dtype in EXACT else None
            dtype = torch.get_default_dtype() if kept is None else kept.dtype
            self.register_buffer(name, torch.as_tensor(given, dtype=dtype).clone())
        first = self._like
        check_shape(self.channelwise[0], first.shape, ("channels",))
        self.features = len(first)
        for name in channelwise:
            found = getattr(self, name)
            check_shape(name, found.shape, ("channels",), channels=self.features)
            if not bool(found.isfinite().all()):
                raise OptionError(f"`{name}` must be finite; got {found.tolist()}.")
        self.steps = check_range("steps", steps, 1, whole=True)
        self.outputs = width * self.features

    @property
    def _like(self) -> Tensor:
        return getattr(self, self.channelwise[0])

    @torch.no_grad()
    def forward(
        self,
        x: Tensor,
        e: Any = None,
        *,
        dt: Tensor | float = 1.0,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Encode x from the state `e`.

        Parameters
        ----------
        x : tensor (B, T, C)
            Finite (in the padding: anything), of the parameters' dtype, float32 or float64.
        e : state, optional
            What an earlier call returned, to go on from there; `initial(B)` if left out.
        dt : number, (T,), (B,) or (B, T)
            Time since the previous sample. It matters to `Rate` with a `peak` only: other codes count samples.
        lengths : (B,) whole numbers of 0 to T, optional
            Where each row ends: from there are no spikes and the state is frozen.
        reset : bool (B, T), optional
            The state is `initial` again just before these samples.

        Returns
        -------
        spikes : tensor (B, T*steps, outputs) of 0 and 1, of x's dtype
        e : the state after each row's last sample
        """
        x, lengths, reset = self._checked(x, lengths, reset)
        B, T = x.shape[:2]
        e = self.initial(B) if e is None else self._checked_state(e, B)
        spikes, e = self.sequence(x, e, spread(dt, B, T, x), lengths, reset)
        if lengths is not None:
            spikes = spikes * inside(lengths, T)[..., None]
        return spikes.flatten(1, 2), e

    def sequence(
        self, x: Tensor, e: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Return spikes (B,T,steps,outputs), whatever after a row's end, and the state after it."""
        raise NotImplementedError

    def decode(self, spikes: Tensor) -> Tensor:
        """Return what the spikes of whole rows say that x was (B,T,C)."""
        raise NotImplementedError

    def _restored(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Encode and decode."""
        return self.decode(self(x, lengths=lengths)[0])

    @torch.no_grad()
    def snr(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Measure what decoding the spikes of x gives back: 10 log10(variance of x / mean squared error).

        Parameters
        ----------
        x : tensor (B, T, C)
        lengths : (B,), optional

        Returns
        -------
        tensor (C,), in dB; over all samples of all rows, but the last `delay` ones, whose spikes are not there yet
        """
        restored = self._restored(x, lengths)
        live = inside(row_ends(x, lengths) - self.delay, x.shape[1])[..., 0]
        signal, error = x[live], x[live] - restored[live]
        power = (signal - signal.mean(0)).square().mean(0)
        return 10 * torch.log10(power / error.square().mean(0))

    @classmethod
    def for_data(cls, x: Tensor, lengths: Tensor | None = None, **options: Any) -> Self:
        """Make an encoder whose parameters fit the training data x (B,T,C); `options` as for the class."""
        raise NotImplementedError

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the tensors of the state; () where nothing is remembered."""
        return ()

    def initial(self, batch: int) -> Any:
        """Return the state before the first sample."""
        zeros = [self._like.new_zeros(batch, spec.width) for spec in self.state_spec()]
        return self.State(*zeros) if self.State else zeros[0] if zeros else ()

    def scale_time(self, c: float) -> None:
        """Change, in place, to a unit of time in which every dt is c times larger."""
        check_range("c", c, 0, open_low=True)

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal encoder from, as plain JSON."""
        numbers = {name: getattr(self, name).tolist() for name in self.channelwise}
        return {"kind": type(self).__name__, **numbers, **{name: getattr(self, name) for name in self.options}}

    def _checked(
        self, x: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        sizes = check_shape("x", x.shape, ("batch", "time", "channels"), channels=self.features)
        like = self._like
        if x.dtype != like.dtype or like.dtype not in EXACT:
            raise ShapeError(
                f"`x` must be of {like.dtype if like.dtype in EXACT else EXACT[0]}, as the encoder's parameters; "
                f"got {x.dtype} and {like.dtype}. Use x.to(...) or encoder.to(...)."
            )
        if lengths is not None:
            lengths = row_ends(x, lengths)
            x = torch.where(inside(lengths, sizes["time"]), x, 0.0)
        if reset is not None:
            reset = torch.as_tensor(reset, device=x.device)
            check_shape("reset", reset.shape, ("batch", "time"), batch=sizes["batch"], time=sizes["time"])
        _refuse_not_finite(x)
        return x, lengths, reset

    def _checked_state(self, e: Any, batch: int) -> Any:
        specs, parts = self.state_spec(), (e,) if isinstance(e, Tensor) else tuple(e)
        if len(parts) != len(specs):
            names = ", ".join(spec.name for spec in specs) or "nothing"
            raise ShapeError(f"`e` must hold {len(specs)} tensors ({names}); got {len(parts)}.")
        for spec, part in zip(specs, parts, strict=True):
            check_shape(f"e.{spec.name}", part.shape, ("batch", "width"), batch=batch, width=spec.width)
        return self.State(*parts) if self.State else parts[0] if parts else ()


def at_end(before: Tensor, along: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last (B,W) of `before` (B,W) and `along` (B,T,W) that lies before each row's end."""
    both = torch.cat([before[:, None], along], 1)
    if lengths is None:
        return both[:, -1]
    return both[torch.arange(len(both), device=both.device), lengths.to(torch.int64)]


def newest(both: Tensor, width: int, lengths: Tensor | None) -> Tensor:
    """Return the last samples before each row's end (B, width*C), the oldest first, of `both` (B, width+T, C)."""
    if lengths is None:
        return both[:, both.shape[1] - width :].flatten(1)
    kept = lengths.to(torch.int64)[:, None] + torch.arange(width, device=both.device)
    return both[torch.arange(len(both), device=both.device)[:, None], kept].flatten(1)


def samples_before(count: Tensor, T: int, reset: Tensor | None) -> Tensor:
    """Return how many samples there were before each one (B,T) since the start, `count` (B,1), or the last reset."""
    step = torch.arange(T, device=count.device)
    before = count.to(torch.int64) + step
    if reset is None:
        return before
    anew = torch.where(reset, step, -1).cummax(1).values
    return torch.where(anew >= 0, step - anew, before)


def row_ends(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return where each row of x (B,T,...) ends (B,), checked."""
    B, T = x.shape[:2]
    if lengths is None:
        return torch.full((B,), T, device=x.device)
    lengths = torch.as_tensor(lengths, device=x.device)
    check_shape("lengths", lengths.shape, ("batch",), batch=B)
    if _readable():
        wrong = (lengths < 0) | (lengths > T)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise OptionError(f"`lengths` must be 0 to {T}, the samples of x; got {int(lengths[row])} in row {row}.")
    return lengths


def valid(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the samples (N,C) of training data x (B,T,C) that are not padding; at least one, all finite."""
    check_shape("x", x.shape, ("batch", "time", "channels"))
    live = inside(row_ends(x, lengths), x.shape[1])
    _refuse_not_finite(torch.where(live, x, 0.0))
    found = x[live[..., 0]]
    if not len(found):
        raise DataError("`x` must hold samples to fit an encoder to; got none. Give rows of at least one sample.")
    return found


def _readable() -> bool:
    """Whether values may be looked at: not while tracing, nor inside vmap or another function transform."""
    return not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is None  # pyright: ignore


def _refuse_not_finite(x: Tensor) -> None:
    finite = x.isfinite()
    if _readable() and not finite.all():
        row, time, channel = (int(i) for i in (~finite).nonzero()[0])
        raise DataError(
            f"`x` must be finite here; got {x[row, time, channel].item()} at row {row}, time {time}, "
            f"channel {channel}. Put the encoder MissingAware before this one, or fill the gaps."
        )
