"""JSON that is nearly an event, for what has to answer any event or refuse it."""

from hypothesis import strategies as st

__all__ = ["ANY_EVENT", "ANY_FRAME", "JSON"]

PATHS = ["/crane.js", "https://harbour.example/crane.js", "https://shop.example/static/app.min.js"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=5,
)
ANY_FRAME = JSON | st.fixed_dictionaries(
    {},
    optional={
        "abs_path": st.sampled_from([*PATHS, *(f"async {path}" for path in PATHS), "\ud800", ""]) | JSON,
        "filename": JSON,
        "lineno": st.integers(-1, 3) | st.integers() | JSON,
        "colno": st.integers(0, 60) | JSON,
        "function": JSON,
        "module": JSON,
        "platform": st.sampled_from(["javascript", "node", "java", "native", "x"]) | JSON,
        "pre_context": JSON,
        "context_line": JSON,
        "post_context": JSON,
        "token_name": JSON,
        "data": JSON,
    },
)
ANY_TRACE = JSON | st.fixed_dictionaries({"frames": st.lists(ANY_FRAME, max_size=4) | JSON})
ANY_VALUES = JSON | st.lists(st.fixed_dictionaries({"stacktrace": ANY_TRACE}), max_size=2)
ANY_IMAGES = JSON | st.lists(
    JSON | st.fixed_dictionaries({"type": st.just("sourcemap"), "code_file": JSON, "debug_id": JSON}),
    max_size=2,
)
ANY_EVENT = JSON | st.fixed_dictionaries(
    {},
    optional={
        "platform": st.sampled_from(["javascript", "java", "native"]) | JSON,
        "exception": ANY_VALUES | st.fixed_dictionaries({"values": ANY_VALUES}),
        "threads": ANY_VALUES | st.fixed_dictionaries({"values": ANY_VALUES}),
        "stacktrace": ANY_TRACE,
        "stacktraces": st.none() | st.lists(ANY_TRACE, max_size=2) | JSON,
        "modules": ANY_IMAGES,
        "debug_meta": JSON | st.fixed_dictionaries({"images": ANY_IMAGES}),
        "errors": JSON,
    },
)
