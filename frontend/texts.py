"""Every sentence the page says, in the languages it speaks."""

import math
import re
from datetime import datetime
from typing import Any, NamedTuple

import streamlit as st

LANGUAGES = {"en": "English", "fr": "Français"}


def language() -> str:
    """What the reader has chosen, else what their browser asks for, else English."""
    chosen = st.session_state.get("language", st.query_params.get("language"))
    return chosen if chosen in LANGUAGES else preferred_language()


def preferred_language() -> str:
    asked = (st.context.locale or "").partition("-")[0].lower()
    return asked if asked in LANGUAGES else "en"


class Sentence(NamedTuple):
    """Called with what its braces name, it is said in the reader's language."""

    en: str
    fr: str

    def __call__(self, **values: object) -> str:
        said: str = getattr(self, language())
        said = said.format(**values) if values else said
        return _LONELY.sub("\u00a0\\1", said) if language() == "fr" else said


TITLE = "Iris ML"
PREDICT = Sentence("Predict", "Prédire")
BATCH = Sentence("Batch", "Par lots")
MODELS = Sentence("Models", "Modèles")
MONITORING = Sentence("Monitoring", "Suivi")
LANGUAGE = Sentence("Language", "Langue")
YES = Sentence("Yes", "Oui")
NO = Sentence("No", "Non")
MISSING = Sentence("Missing", "Absente")

# The backend, and the model that is live.
BACKEND_AWAY = Sentence(
    "The backend does not answer. This page looks again every two seconds.",
    "Le backend ne répond pas. Cette page réessaie toutes les deux secondes.",
)
BACKEND_STRANGE = Sentence(
    "Something else answers in the backend's place. This page looks again every two seconds.",
    "Autre chose répond à la place du backend. Cette page réessaie toutes les deux secondes.",
)
BACKEND_NOT_READY = Sentence(
    "The backend cannot answer yet, and this page looks again every two seconds. It says: {detail}",
    "Le backend ne peut pas encore répondre, et cette page réessaie toutes les deux secondes. "
    "Il dit : {detail}",
)
BACKEND_CLOSED = Sentence(
    "The backend wants a key. Start this page with the API_KEY that the backend knows.",
    "Le backend demande une clé. Lancez cette page avec la clé API_KEY que connaît le backend.",
)
BACKEND_REFUSED = Sentence("{detail}", "Le backend refuse : {detail}")
BACKEND_BROKE_OFF = Sentence(
    "The backend broke off its answer. Nothing is lost: try again.",
    "Le backend a interrompu sa réponse. Rien n'est perdu : réessayez.",
)
LIVE = Sentence(
    "Live: {estimator}, trained on {rows} rows of {name} · version {version} · {signature}",
    "En service : {estimator}, entraîné sur {rows} lignes de {name} · version {version} · "
    "{signature}",
)
LIVE_UNKNOWN = Sentence(
    "Live: {estimator}, of which the models folder tells no more · version {version} · {signature}",
    "En service : {estimator}, dont le dossier des modèles ne dit rien de plus · version {version} "
    "· {signature}",
)
NEW_MODEL = Sentence(
    "A new model is live: {estimator}, version {version}.",
    "Un nouveau modèle est en service : {estimator}, version {version}.",
)

# Predict.
INTRODUCTION = Sentence(
    "Which {target} is it? Enter values, or start from an example; the model answers with a class "
    "and how sure it is.",
    "De quelle classe ({target}) s'agit-il ? Entrez des valeurs, ou partez d'un exemple ; le "
    "modèle répond par une classe et dit à quel point il en est sûr.",
)
EXAMPLES = Sentence("Fill in an example", "Remplir avec un exemple")
TRAINED_ON = Sentence("Trained on {low} to {high}", "Entraîné de {low} à {high}")
MAY_BE_EMPTY = Sentence("may be left empty", "peut rester vide")
ENTER_VALUE = Sentence("Enter a number here.", "Entrez un nombre ici.")
OUTSIDE = Sentence(
    "Outside the training range {low} to {high}: the model has seen nothing like it.",
    "Hors de l'intervalle d'entraînement, de {low} à {high} : le modèle n'a rien vu de tel.",
)
FILLED_IN = Sentence(
    "Missing: the model fills it in as it learned to.",
    "Absente : le modèle la complète comme il l'a appris.",
)
UNKNOWN_VALUE = Sentence(
    "Not a value the model knows: it is treated as a rare one.",
    "Le modèle ne connaît pas cette valeur : il la traite comme une valeur rare.",
)
NOTHING_ASKED = Sentence(
    "The answer will be here. Until then, this is what the model has learned from:",
    "La réponse sera ici. En attendant, voici ce dont le modèle a appris :",
)
PROBABILITY = Sentence("Probability", "Probabilité")
PROBABILITIES_OF = Sentence("Probability of each class", "Probabilité de chaque classe")
OTHER_CLASSES = Sentence("{count} others", "{count} autres")
NO_PROBABILITIES = Sentence(
    "This model says the class only, not how sure it is.",
    "Ce modèle donne seulement la classe, sans dire à quel point il en est sûr.",
)
ANSWERED_BY = Sentence("Answered by model {version}", "Réponse du modèle {version}")
ANSWERED_FOR = Sentence("For {inputs}", "Pour {inputs}")
AND_MORE = Sentence("and {count} more", "et {count} de plus")
MODEL_CHANGED = Sentence(
    "Another model is live since this answer. Predict again to ask it.",
    "Un autre modèle est en service depuis cette réponse. Prédisez à nouveau pour l'interroger.",
)
SHARE = Sentence(
    "The address of this page now holds these values: copy it to share them.",
    "L'adresse de cette page contient maintenant ces valeurs : copiez-la pour les partager.",
)
WRONG = Sentence("That's wrong", "C'est faux")
RIGHT_CLASS = Sentence("What would be right?", "Quelle est la bonne classe ?")
SEND = Sentence("Send", "Envoyer")
THANKS = Sentence(
    "Thank you: {label} is noted for this prediction.",
    "Merci : {label} est noté pour cette prédiction.",
)
NOT_NOTED = Sentence(
    "Nothing was noted. The backend says: {detail}", "Rien n'a été noté. Le backend dit : {detail}"
)
WHY = Sentence("Why", "Pourquoi")
WHY_CAPTION = Sentence(
    "What each value moves the probability of {label} by, against the training table's middle "
    "value in its place. One value is replaced at a time, so the bars do not add up.",
    "De combien chaque valeur déplace la probabilité de {label}, par rapport à la valeur médiane "
    "du tableau d'entraînement. Une seule valeur est remplacée à la fois : les barres ne "
    "s'additionnent pas.",
)
WHY_NOT = Sentence(
    "This model cannot be explained: {detail}", "Ce modèle ne peut pas être expliqué : {detail}"
)
CHANGE = Sentence("Change of probability", "Variation de probabilité")
MORE_FEATURES = Sentence(
    "Features that move it by less: {count}.", "Variables qui la déplacent moins : {count}."
)
WHERE = Sentence("Where this one lies", "Où se situe celui-ci")
WHERE_CAPTION = Sentence(
    "Rows of the training table by class; the line is at the value entered.",
    "Lignes du tableau d'entraînement par classe ; le trait est à la valeur entrée.",
)
LEARNED_CAPTION = Sentence(
    "Rows of the training table by class.", "Lignes du tableau d'entraînement par classe."
)
ROWS = Sentence("Rows", "Lignes")
CLASS = Sentence("Class", "Classe")
OTHERS = Sentence("others", "autres")
HISTOGRAM_OF = Sentence(
    "Training rows by {feature} and class", "Lignes d'entraînement par {feature} et par classe"
)
NO_HISTOGRAMS = Sentence(
    "This model has no manifest: what it has learned from is not known.",
    "Ce modèle n'a pas de manifeste : on ne sait pas de quoi il a appris.",
)
WHAT_IF = Sentence("What if", "Et si")
WHAT_IF_CAPTION = Sentence(
    "Move one value and leave the others: how the probabilities follow.",
    "Déplacez une valeur sans toucher aux autres : les probabilités suivent.",
)
MOVED_FEATURE = Sentence("Value to move", "Valeur à déplacer")
WOULD_BE = Sentence(
    "With {feature} = {value} it would be {label} ({share}).",
    "Avec {feature} = {value}, ce serait {label} ({share}).",
)
CURVE_OF = Sentence(
    "Probability of each class as {feature} changes",
    "Probabilité de chaque classe selon {feature}",
)
HISTORY = Sentence("This session's predictions", "Prédictions de cette session")
HISTORY_NOTE = Sentence(
    "The newest {count} are kept, in this tab only.",
    "Les {count} plus récentes sont gardées, dans cet onglet seulement.",
)
TIME = Sentence("Time (UTC)", "Heure (UTC)")
MODEL = Sentence("Model", "Modèle")
DOWNLOADS = {
    "csv": Sentence("Download as CSV", "Télécharger en CSV"),
    "xlsx": Sentence("Download as Excel", "Télécharger en Excel"),
    "parquet": Sentence("Download as Parquet", "Télécharger en Parquet"),
}

# Batch.
BATCH_INTRODUCTION = Sentence(
    "A table in, the same table with a class and probabilities for every row out.",
    "Un tableau entre, le même ressort avec une classe et des probabilités pour chaque ligne.",
)
TEMPLATE = Sentence("Download a template", "Télécharger un tableau d'exemple")
COLUMNS = Sentence(
    "Columns, in any order: {names}. Others are kept as they are.",
    "Colonnes, dans n'importe quel ordre : {names}. Les autres sont gardées telles quelles.",
)
UPLOAD = Sentence(
    "A CSV, Excel (.xlsx) or Parquet file, up to {limit}",
    "Un fichier CSV, Excel (.xlsx) ou Parquet, jusqu'à {limit}",
)
READING = Sentence("Reading the table…", "Lecture du tableau…")
READ_AGAIN = Sentence("Read the table again", "Relire le tableau")
READ_AS = Sentence("{said}", "Le backend dit : {said}")
SHEET = Sentence("Sheet to predict", "Feuille à prédire")
OTHER_SHEET = Sentence("Choose another sheet", "Choisir une autre feuille")
PREVIEW = Sentence(
    "The first rows of {file} ({rows} in all)", "Les premières lignes de {file} ({rows} en tout)"
)
COLUMNS_MISSING = Sentence(
    "The table lacks {names}. The template has every column.",
    "Il manque au tableau : {names}. Le tableau d'exemple a toutes les colonnes.",
)
PREDICT_ROWS = Sentence("Predict every row", "Prédire chaque ligne")
CHECKING = Sentence("Checking every row…", "Vérification de chaque ligne…")
ROWS_DONE = Sentence("{done} of {total} rows", "{done} lignes sur {total}")
BAD_ROWS = Sentence(
    "Nothing was predicted: the table has errors. Fix them in the file and upload it again.",
    "Rien n'a été prédit : le tableau a des erreurs. Corrigez-les dans le fichier et "
    "téléversez-le à nouveau.",
)
MORE_FAULTS = Sentence(
    "The first {count} are shown; there are more.", "Les {count} premières sont montrées."
)
ROW = Sentence("Row", "Ligne")
COLUMN = Sentence("Column", "Colonne")
REASON = Sentence("Reason", "Raison")
RESULT = Sentence(
    "Rows predicted: {rows} in {seconds} s", "Lignes prédites : {rows} en {seconds} s"
)
RESULT_OF = Sentence("{file}, answered by model {version}", "{file}, réponse du modèle {version}")
UNANSWERED = Sentence(
    "Rows without an answer: {count}. They hold no data, or values too large for the model.",
    "Lignes sans réponse : {count}. Elles ne contiennent pas de données, ou des valeurs trop "
    "grandes pour le modèle.",
)
MANY_UNKNOWN = Sentence(
    "{column}: {count} of {rows} rows ({share}) hold values the model does not know. Check that "
    "this is the right column and that its values are spelt as in training.",
    "{column} : {count} lignes sur {rows} ({share}) ont des valeurs que le modèle ne connaît pas. "
    "Vérifiez que c'est la bonne colonne et que ses valeurs sont écrites comme à l'entraînement.",
)
KNOWN_VALUES = Sentence("The model knows {values}.", "Le modèle connaît {values}.")
WARNED_ROWS = Sentence(
    "Rows answered with a warning, by column", "Lignes avec un avertissement, par colonne"
)
WARNINGS = {
    "unknown": Sentence("Unknown values", "Valeurs inconnues"),
    "missing": Sentence("Missing values", "Valeurs absentes"),
    "out_of_range": Sentence("Outside the training range", "Hors de l'intervalle d'entraînement"),
}
MORE_WARNED = Sentence(
    "More columns with fewer such rows: {count}.", "Autres colonnes, moins touchées : {count}."
)
CLASS_COUNTS = Sentence("Rows by predicted class", "Lignes par classe prédite")
RESULT_TABLE = Sentence("Predictions", "Prédictions")
GUARD = Sentence("Guard formulas", "Neutraliser les formules")
GUARD_CAPTION = Sentence(
    "CSV for spreadsheets: text that begins like a formula, with =, +, - or @, gets an apostrophe "
    "before it. Switch it off to get every cell as it is, for programs.",
    "CSV pour tableurs : un texte qui commence comme une formule, par =, +, - ou @, est précédé "
    "d'une apostrophe. Désactivez pour obtenir chaque cellule telle quelle, pour des programmes.",
)
NO_WORKBOOK = Sentence(
    "This table is too large for an Excel file. Download it as CSV or Parquet.",
    "Ce tableau est trop grand pour un fichier Excel. Téléchargez-le en CSV ou en Parquet.",
)

# Models.
MODELS_INTRODUCTION = Sentence(
    "Every version in the models folder, newest first. The newest that is fit to serve is live.",
    "Chaque version du dossier des modèles, la plus récente d'abord. La plus récente qui soit "
    "apte à servir est en service.",
)
NO_MODELS = Sentence(
    "The models folder is empty. Train a first one:",
    "Le dossier des modèles est vide. Entraînez-en un premier :",
)
STATE = Sentence("State", "État")
VERSION = Sentence("Version", "Version")
PUBLISHED = Sentence("Published (UTC)", "Publié (UTC)")
ESTIMATOR = Sentence("Estimator", "Estimateur")
SIGNATURE = Sentence("Signature", "Signature")
TABLE = Sentence("Training table", "Tableau d'entraînement")
TABLE_HASH = Sentence("SHA-256 of the table", "SHA-256 du tableau")
ENGINE = Sentence("Engine", "Moteur")
REPUBLISHED = Sentence("Copy of", "Copie de")
STATES = {
    "live": Sentence("live", "en service"),
    "available": Sentence("available", "disponible"),
    "unverified": Sentence("not verified yet", "pas encore vérifié"),
    "refused": Sentence("refused", "refusé"),
}
SIGNATURES = {
    "signed": Sentence("signed", "signé"),
    "unsigned": Sentence("unsigned", "non signé"),
    "unchecked": Sentence("unchecked", "non vérifié"),
}
# What a reader has to know who sees the word. A signed model needs none.
SIGNATURE_MEANINGS = {
    "unsigned": Sentence(
        "Unsigned: nothing proves that this file comes from the trainer of this stack.",
        "Non signé : rien ne prouve que ce fichier vient de l'entraînement de cette installation.",
    ),
    "unchecked": Sentence(
        "Unchecked: the file is signed, but the backend has no public key to check it with.",
        "Non vérifié : le fichier est signé, mais le backend n'a pas la clé publique pour le "
        "vérifier.",
    ),
}
ALL_VERSIONS = Sentence("Published versions", "Versions publiées")
QUALITY = Sentence("Quality in cross-validation", "Qualité en validation croisée")
QUALITY_CAPTION = Sentence(
    "Mean over the folds and its standard error, newest first.",
    "Moyenne sur les plis et son erreur type, la plus récente d'abord.",
)
METRIC = Sentence("Metric", "Métrique")
ONE_VERSION = Sentence("One version", "Une version")
REFUSED_BECAUSE = Sentence("Refused: {reason}", "Refusé : {reason}")
GO_BACK = Sentence(
    "To go back to it, publish it again under a new name:",
    "Pour y revenir, publiez-la de nouveau sous un nouveau nom :",
)
OPEN_RUN = Sentence("Open its run in MLflow", "Ouvrir son run dans MLflow")
RUN = Sentence("Its run in MLflow: {run}", "Son run dans MLflow : {run}")
NO_RUN = Sentence("MLflow knows no run of it.", "MLflow n'en connaît aucun run.")
COMPARE = Sentence("Two versions, the same inputs", "Deux versions, les mêmes entrées")
COMPARE_CAPTION = Sentence(
    "Asked with the values last predicted, else with the live model's first example.",
    "Interrogées avec les dernières valeurs prédites, sinon avec le premier exemple du modèle "
    "en service.",
)
FIRST_VERSION = Sentence("First version", "Première version")
SECOND_VERSION = Sentence("Second version", "Deuxième version")
ONE_MODEL_ONLY = Sentence(
    "There is one version so far. After the next training, two can be compared here.",
    "Il n'y a qu'une version pour l'instant. Après le prochain entraînement, deux pourront être "
    "comparées ici.",
)
NOTHING_TO_COMPARE_WITH = Sentence(
    "Predict something first: the live model has no example of its own.",
    "Prédisez d'abord quelque chose : le modèle en service n'a pas d'exemple.",
)
ANSWER_OF = Sentence("{version}: {answer}", "{version} : {answer}")

# Monitoring.
MONITORING_INTRODUCTION = Sentence(
    "What the backend has counted since {since} UTC; this page looks again every {seconds} "
    "seconds.",
    "Ce que le backend a compté depuis le {since} UTC ; cette page se met à jour toutes les "
    "{seconds} secondes.",
)
NO_MONITORING = Sentence(
    "This backend does not count what it does yet. Once it offers /monitoring, its traffic shows "
    "here by itself.",
    "Ce backend ne compte pas encore ce qu'il fait. Dès qu'il offrira /monitoring, son trafic "
    "apparaîtra ici.",
)
PREDICTED_ROWS = Sentence("Rows predicted", "Lignes prédites")
REQUESTS = Sentence("Requests", "Requêtes")
ERRORS = Sentence("Errors", "Erreurs")
ERROR_SHARE = Sentence("Error share", "Part d'erreurs")
MEDIAN_TIME = Sentence("Median time of /predict", "Temps médian de /predict")
SLOWEST = Sentence("99th percentile of /predict", "99e centile de /predict")
TRAFFIC = Sentence("Requests per second", "Requêtes par seconde")
TRAFFIC_CAPTION = Sentence(
    "Since this page was opened, and without what it asks to show itself.",
    "Depuis l'ouverture de cette page, et sans ce qu'elle demande pour s'afficher.",
)
TRAFFIC_SOON = Sentence(
    "The first figures come with the next look.",
    "Les premiers chiffres arrivent à la prochaine mise à jour.",
)
BY_ROUTE = Sentence("By route", "Par route")
ROUTE = Sentence("Route", "Route")
OTHER_PATHS = Sentence("other paths", "autres chemins")
MEDIAN = Sentence("Median (ms)", "Médiane (ms)")
P99 = Sentence("99 % within (ms)", "99 % en moins de (ms)")
CLASS_SHARES = Sentence("Predicted classes", "Classes prédites")
CLASS_SHARES_CAPTION = Sentence(
    "Answers of the live model, beside the shares of the training table.",
    "Réponses du modèle en service, à côté des parts du tableau d'entraînement.",
)
ANSWERED = Sentence("predicted", "prédites")
TRAINED = Sentence("training table", "tableau d'entraînement")
SHARE_OF_ROWS = Sentence("Share of rows", "Part des lignes")
NO_ANSWERS = Sentence(
    "The live model has not been asked yet.", "Le modèle en service n'a pas encore été interrogé."
)
JOURNAL_TROUBLE = Sentence(
    "The journal has a problem, so drift and live accuracy are behind or missing: {reason}",
    "Le journal a un problème : la dérive et l'exactitude sont en retard ou absentes : {reason}",
)
JOURNAL_LOST = Sentence(
    "Predictions that could not be stored: {count}. Drift and live accuracy are without them.",
    "Prédictions qui n'ont pas pu être enregistrées : {count}. La dérive et l'exactitude sont "
    "calculées sans elles.",
)
NOT_KNOWN_NOW = Sentence(
    "Not known at the moment: it is read from the journal, which does not answer.",
    "Inconnue pour le moment : elle est lue dans le journal, qui ne répond pas.",
)
SHIFTED = Sentence(
    "{window}: what the model is asked is no longer like its training table. Shifted: {names}.",
    "{window} : ce qu'on demande au modèle ne ressemble plus à son tableau d'entraînement. "
    "En dérive : {names}.",
)
DRIFT = Sentence("Drift", "Dérive")
NOTHING_TO_DRIFT = Sentence(
    "Nothing that is asked is stored (JOURNAL=off), so it cannot be held against the training "
    "table.",
    "Rien de ce qui est demandé n'est enregistré (JOURNAL=off) : impossible de le comparer au "
    "tableau d'entraînement.",
)
WINDOW = Sentence("Rows of", "Lignes de")
WINDOWS = {
    "hour": Sentence("Last hour", "Dernière heure"),
    "day": Sentence("Last day", "Dernier jour"),
    "model": Sentence("Since this model", "Depuis ce modèle"),
}
NO_ROWS = Sentence(
    "Nothing has been asked in this time.", "Rien n'a été demandé pendant cette période."
)
TOO_FEW_ROWS = Sentence(
    "Too few rows for a verdict: {rows} so far, and it takes {least}. Until then, this is what "
    "they look like.",
    "Trop peu de lignes pour un verdict : {rows} jusqu'ici, et il en faut {least}. En attendant, "
    "voici à quoi elles ressemblent.",
)
DRIFT_CAPTION = Sentence(
    "Rows predicted: {rows}, beside those of the training table, the most shifted first. PSI, the "
    "population stability index, is 0 where both are alike and grows as they part.",
    "Lignes prédites : {rows}, à côté de celles du tableau d'entraînement, la plus forte dérive "
    "d'abord. Le PSI, indice de stabilité, vaut 0 quand les deux se ressemblent et croît quand "
    "elles s'écartent.",
)
DRIFT_OF = Sentence(
    "Share of rows by {feature}, of the training table and predicted",
    "Part des lignes selon {feature}, du tableau d'entraînement et prédites",
)
CLASS_DRIFT = Sentence(
    "Share of rows by class, of the training table and predicted",
    "Part des lignes par classe, du tableau d'entraînement et prédites",
)
MORE_DRIFT = Sentence("Features that have moved less", "Variables qui ont moins bougé")
FEATURE = Sentence("Feature", "Variable")
VERDICT = Sentence("Verdict", "Verdict")
VERDICTS = {
    "shifted": Sentence("shifted", "dérive"),
    "moderate": Sentence("moderate shift", "dérive modérée"),
    "stable": Sentence("stable", "stable"),
    "unknown": Sentence("too few rows", "trop peu de lignes"),
}
SHARES = {
    "missing": Sentence("missing", "absentes"),
    "outside": Sentence("outside the training range", "hors de l'intervalle d'entraînement"),
    "unknown": Sentence("not known to the model", "inconnues du modèle"),
}
ACCURACY = Sentence("Live accuracy", "Exactitude en service")
NOTHING_TO_MEASURE = Sentence(
    "Nothing that is answered is stored (JOURNAL=off), so nobody can say what would have been "
    "right.",
    "Aucune réponse n'est enregistrée (JOURNAL=off) : personne ne peut dire ce qui aurait été "
    "juste.",
)
NO_ACCURACY = Sentence(
    "Nobody has said yet what was right. It takes feedback: the button after a prediction, or "
    "POST /feedback.",
    "Personne n'a encore dit ce qui était juste. Il faut des retours : le bouton après une "
    "prédiction, ou POST /feedback.",
)
ACCURACY_CAPTION = Sentence(
    "Answers of model {version} that feedback was given on. The model expected to be right as "
    "often as its probabilities say: well above the accuracy, it is too sure of itself.",
    "Réponses du modèle {version} qui ont reçu un retour. Le modèle s'attendait à avoir raison "
    "aussi souvent que le disent ses probabilités : bien au-dessus de l'exactitude, il est trop "
    "sûr de lui.",
)
ACCURACY_SHARE = Sentence("Accuracy", "Exactitude")
EXPECTED = Sentence("Expected by the model", "Selon le modèle")
LABELLED = Sentence("With feedback", "Avec retour")
CONFUSION = Sentence("Right and predicted classes", "Classes justes et prédites")
CONFUSION_CAPTION = Sentence(
    "Rows by the class that was right and the one predicted. The stronger the colour, the larger "
    "their share of the right class.",
    "Lignes par classe juste et par classe prédite. Plus la couleur est forte, plus leur part de "
    "la classe juste est grande.",
)
CONFUSION_LIST = Sentence(
    "Rows by the class that was right and the one predicted: first the errors.",
    "Lignes par classe juste et par classe prédite : d'abord les erreurs.",
)
RIGHT = Sentence("Right class", "Classe juste")
PREDICTED = Sentence("Predicted class", "Classe prédite")
CALIBRATION = Sentence("Probability and accuracy", "Probabilité et exactitude")
CALIBRATION_CAPTION = Sentence(
    "How often the answers of each probability were right. Below the dashed line the model is "
    "too sure, above it not sure enough; larger points are of more rows.",
    "La fréquence des réponses justes selon leur probabilité. Sous le trait pointillé, le modèle "
    "est trop sûr de lui, au-dessus pas assez ; un point plus gros compte plus de lignes.",
)
SHADOW = Sentence("In the shadow", "Dans l'ombre")
SHADOW_CAPTION = Sentence(
    "Model {version} is asked the same as the live one. Its answers are compared and given to "
    "nobody.",
    "Le modèle {version} reçoit les mêmes demandes que celui en service. Ses réponses sont "
    "comparées et ne sont données à personne.",
)
SHADOW_ANSWERED = Sentence("Answered by both", "Réponses des deux")
AGREEMENT = Sentence("Same class", "Même classe")
SHADOW_ACCURACY = Sentence("Its accuracy", "Son exactitude")
SHADOW_COUNTS = Sentence(
    "Its accuracy is that of {count} predictions with feedback, the live model's of {live_count}.",
    "Son exactitude porte sur {count} prédictions avec retour, celle du modèle en service sur "
    "{live_count}.",
)
SHADOW_SKIPPED = Sentence(
    "Rows it was not asked, so as not to hold up the live model: {count}.",
    "Lignes qu'il n'a pas reçues, pour ne pas ralentir le modèle en service : {count}.",
)


def label(feature: dict[str, Any]) -> str:
    """The feature's name as a person writes it, with its unit, as plain text."""
    name = words(feature["name"])
    unit = f" ({feature['unit']})" if feature.get("unit") else ""
    # A name with capitals of its own, like pH, is left as it is.
    return (name.capitalize() if name.islower() else name) + unit


def words(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def target(manifest: dict[str, Any]) -> str:
    """The target's name as a person writes it."""
    return label({"name": manifest["target"]["name"]})


def training_range(feature: dict[str, Any]) -> str:
    """With as many decimals as the training table used."""
    trained = TRAINED_ON(**range_of(feature))
    return f"{trained}; {MAY_BE_EMPTY()}" if feature["nullable"] else trained


def range_of(feature: dict[str, Any]) -> dict[str, str]:
    decimals = decimals_of(feature)
    return {end: number(feature[key], decimals) for end, key in (("low", "min"), ("high", "max"))}


def decimals_of(feature: dict[str, Any]) -> int:
    return max(0, -math.floor(math.log10(feature["step"]))) if feature.get("step") else 6


def missing_among(values: list[str]) -> str:
    """A choice for what is missing that is none of the values."""
    choice = MISSING()
    while choice in values:
        choice = f"({choice})"
    return choice


def value(given: Any) -> str:
    """A feature's value as a person writes it."""
    if given is None:
        return MISSING()
    if isinstance(given, bool):
        return YES() if given else NO()
    return given if isinstance(given, str) else _localise(f"{given:.15g}")


def number(given: float, decimals: int = 0) -> str:
    return _localise(f"{given:,.{decimals}f}")


def percent(share: float, decimals: int = 1) -> str:
    said = _localise(f"{100 * share:.{decimals}f}")
    return f"{said}\u202f%" if language() == "fr" else f"{said}%"


def bytes_of(count: int) -> str:
    return f"{_localise(f'{count / 1024**2:.3g}')} {'Mo' if language() == 'fr' else 'MB'}"


def moment(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M:%S")


def list_some(names: list[str], most: int, separator: str = ", ") -> str:
    """The first of them, and how many more there are."""
    left = [AND_MORE(count=len(names) - most)] if len(names) > most else []
    return separator.join([*names[:most], *left])


def plain(text: str) -> str:
    """Names come from tables: nothing in them is Markdown, HTML or a formula."""
    line = " ".join(text.split())
    escaped = "".join(f"\\{mark}" if mark in _MARKDOWN else mark for mark in line)
    return _LIST.sub(r"\1\\\2", escaped)


def _localise(digits: str) -> str:
    return digits.translate(_FRENCH) if language() == "fr" else digits


_LONELY = re.compile(r" ([:;?!])")  # marks that may not begin a line
_FRENCH = str.maketrans({",": "\u202f", ".": ","})
_MARKDOWN = r"\`*_[]<>#|~$:&"
_LIST = re.compile(r"^(\d*)([-+.)])")  # at the start of a line only
