"""The page: what is on it, and where."""

import streamlit as st

import texts

st.set_page_config(page_title=texts.TITLE, page_icon="🌸")
st.navigation([st.Page("views/predict.py", title=texts.PREDICT)]).run()
