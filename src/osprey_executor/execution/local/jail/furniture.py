"""What each jail of a fork server has for itself, prepared once by the keeper."""

from __future__ import annotations

from . import kernel, root
from .confine import user_changed, watching_power_alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import ServerSpec


class Furniture:
    """Calls that a monitor makes when it is there: each costs it less than to find out what to call."""

    def __init__(self, spec: ServerSpec) -> None:
        """Prepare it, in the root of which each jail gets a copy."""
        self._spec = spec
        # What stands below a place that is about to be covered is put there again.
        self._covered = [target for _, target in spec["binds"] if target.startswith(("/tmp/", "/dev/shm/"))]  # noqa: S108
        self._writable, self._job = root.writable_mounted("", spec), root.job_mounted(spec["job"])
        # From an id that is not there inside; so no power is lost.
        user = user_changed(spec["monitor_id"]) if spec["identity_map"] else []
        self.hiding = [*user, *kernel.memory_hidden(), *kernel.dying_with_parent()]
        self.watching_power_alone = watching_power_alone(spec)

    def put(self) -> None:
        """Give the copy of the keeper's mounts what is of this jail alone."""
        trees = [(kernel.clone_tree(target, 0), target) for target in self._covered]
        kernel.take(self._writable)
        for covered_tree, target in trees:
            root.attach(covered_tree, target)
        root.mount_proc("")
        root.empty_proc()
        kernel.take(self._job)
        root.make_copies(self._spec)
