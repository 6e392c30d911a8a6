"""The page: what is on it, and where."""

from pathlib import Path

import streamlit as st

import live
import texts
from client import connect

VIEWS = {
    "predict": (texts.PREDICT, ":material/psychology:"),
    "batch": (texts.BATCH, ":material/table:"),
    "models": (texts.MODELS, ":material/deployed_code:"),
    "monitoring": (texts.MONITORING, ":material/monitoring:"),
}

st.session_state.setdefault("language", texts.language())
if texts.language() != texts.preferred_language():
    st.query_params["language"] = texts.language()  # for when the page is loaded again
else:
    st.query_params.pop("language", None)
st.set_page_config(page_title=texts.TITLE, page_icon="🌸", layout="wide")
page = st.navigation(
    [
        st.Page(f"views/{name}.py", title=title(), icon=icon, default=name == "predict")
        for name, (title, icon) in VIEWS.items()
    ],
    position="top",
)
st.html(Path(__file__).with_name("page.css"))
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title(page.title, anchor=False, width="content")
    st.segmented_control(
        texts.LANGUAGE(),
        list(texts.LANGUAGES),
        format_func=texts.LANGUAGES.__getitem__,
        required=True,
        key="language",
        label_visibility="collapsed",
    )
# Screen readers pronounce the page by it.
spoken = f"<script>document.documentElement.lang = '{texts.language()}'</script>"
st.html(spoken, unsafe_allow_javascript=True)
live.follow(connect())
page.run()
