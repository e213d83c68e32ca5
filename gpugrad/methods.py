from .methods_elementwise import ElementwiseMethods


class Methods(ElementwiseMethods):
    __slots__ = ()
    @property
    def shape(self): return self._array.shape
    def numel(self): return self._array.size
    def detach(self):
        from .core import wrap
        t = wrap(self._array); t._version = self._version
        return t
    @property
    def grad(self): return self._grad
