"""Saves the model.joblib of this folder as MLflow's model, with a signature as its docs advise."""

import joblib
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

model = joblib.load("model.joblib")
example = pd.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=model.feature_names_in_)
signature = infer_signature(example, model.predict(example))
mlflow.sklearn.save_model(model, "model", signature=signature, serialization_format="cloudpickle")
