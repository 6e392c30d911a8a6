import codecs

import pytest

from errors import UnusableTable
from reading.encodings import BLOCK_BYTES, to_utf8
from reading.formats import parse_table

# A header and the values of its columns, as people in Western Europe write them with Excel.
WESTERN = [
    ("age,colour,class", "20,grün,a", "21,weiß,b"),
    ("âge;réponse;classe", "20;peut-être;oui", "21;où ça;non"),
    ("station;température;état", "1;10°C;près", "2;-5°C;là"),
    ("Año,Tamaño,Clasificación", "1980,pequeño,válida", "2001,¿grande?,inválida"),
    ("x,y,Statut", "0.1,Décédé,Marié", "0.2,Séparé,Célibataire"),
    ("Straße;Größe;Ärger", "Königsallee;groß;ja", "Bäckerweg;klein;nein"),
    ("Preis €;Währung;Käufer", "5;€;Müller", "6;£;Weiß"),
    ("§;Gesetz;gültig", "§ 1;BGB;„ja“", "§ 2;StGB;„nein“"),
    ("by;øl;råd", "Århus;mørk;på", "Ærø;lys;nå"),
    ("län;kön;år", "Örebro;kvinna;fått", "Skåne;man;två"),
    ("hæð;þyngd;já", "hár;létt;satt", "lágur;þung;ósatt"),
    ("ikä;väri;käyttö", "yli;sinappi;kyllä", "alle;häivä;ehkä"),
    ("città;qualità;perché", "Forlì;così;è", "Cefalù;più;né"),
    ("região;situação;opinião", "São Paulo;não;avô", "Maranhão;sim;avó"),
    ("país,niño,categoría", "España,señor,sí", "Perú,güero,no"),
    ("cœur;sœur;œuvre", "bœuf;aînée;Œdipe", "nœud;cadette;Œuf"),
    ("prénom\tâme\tfrançais", "Chloé\tnaïf\tçà", "Gaël\taiguë\tlà"),
    ("maat|ruïne|coördinatie", "½|reëel|één", "¼|fictief|géén"),
    ("größe,einheit,güte", "1.5,µm,hoch", "2.5,m²,mäßig"),
    ("“quoted”,it’s,class", "“a”,don’t,yes…", "“b”,can’t,no—"),
    ("Umsatz in T€;Lösung;Ergebnis", "1,5;±3;erfüllt", "2,5;×2;unerfüllt"),
    ("fläche;wärme;dämmung", "80;50‰;spät", "90;60‰;früh"),
    ("marca;n.º;válido", "Nestlé®;1ª;sí", "Coca™;2º;no"),
    ("été;hiver;goût", "« chaud »;Noël;amer", "« tiède »;Pâques;sûr"),
]


@pytest.mark.parametrize("rows", [0, 200])
@pytest.mark.parametrize("lines", WESTERN, ids=lambda lines: ascii(lines[0]))
def test_what_excel_writes_in_western_europe_is_read(lines, rows):
    header, *values = lines
    separator = next(sign for sign in ";\t|," if sign in header)
    cells = [line.split(separator) for line in [*values, *values * rows]]
    text = "\r\n".join([header, *map(separator.join, cells), ""])

    table = parse_table(text.encode("cp1252"), "table.csv")

    assert table.origin.encoding == "Windows-1252"
    assert table.frame.columns.tolist() == header.split(separator)
    assert table.frame.to_numpy().tolist() == cells


@pytest.mark.parametrize(
    ("raw", "text", "name"),
    [
        ("é".encode(), "é", "UTF-8"),
        ("\ufeffé".encode(), "é", "UTF-8"),
        ("\ufeff\ufeff\ufeffé".encode(), "é", "UTF-8"),
        (codecs.BOM_UTF16_LE + "é€".encode("utf-16-le"), "é€", "UTF-16"),
        (codecs.BOM_UTF16_BE + "\ufeffé€".encode("utf-16-be"), "é€", "UTF-16"),
        (b"\xe9\x80", "é€", "Windows-1252"),
        (b"", "", "UTF-8"),
    ],
)
def test_without_an_option_marks_decide_then_the_whole_file(raw, text, name):
    assert to_utf8(raw, None) == (text.encode(), name)


@pytest.mark.parametrize("encoding", ["cp1251", "iso8859-5", "shift_jis", "gb18030", "utf-16-le"])
def test_an_option_names_the_encoding_of_what_is_not_utf_8(encoding):
    text = "x,жук\n"

    assert to_utf8(text.encode(encoding), encoding) == (text.encode(), encoding)
    assert to_utf8(text.encode(), encoding) == (text.encode(), "UTF-8")
    assert to_utf8(text.encode("utf-16"), encoding) == (text.encode(), "UTF-16")


def test_one_byte_at_the_end_makes_a_long_file_windows_1252():
    text = "é" + "x" * 2 * BLOCK_BYTES

    assert to_utf8(text.encode(), None)[1] == "UTF-8"
    assert to_utf8(text.encode("cp1252") + b"\x80", None) == ((text + "€").encode(), "Windows-1252")


def test_a_letter_at_the_edge_of_a_block_is_whole():
    text = "x" * (BLOCK_BYTES - 1) + "é字"

    assert to_utf8(text.encode(), None) == (text.encode(), "UTF-8")
    assert to_utf8(text.encode("gb18030"), "gb18030")[0] == text.encode()


@pytest.mark.parametrize("byte", ["81", "8D", "8F", "90", "9D"])
def test_a_byte_that_windows_1252_lacks_is_named(byte):
    raw = b"x,y\n1,\xe9\n2," + bytes.fromhex(byte)

    with pytest.raises(UnusableTable, match=rf"Line 3 holds the byte 0x{byte}, .*--encoding"):
        to_utf8(raw, None)


@pytest.mark.parametrize(
    ("raw", "encoding", "message"),
    [
        (b"x\n\xe9\xff", "cp1253", "Line 2 holds the byte 0xFF, .* nor cp1253. Give another"),
        (b"\xef\xbb\xbfx\n\n\xe9", None, "Line 3 holds the byte 0xE9, .* not UTF-8.* Save it"),
        (b"\xff\xfex\0\n\0\0\xd8", None, "Line 2 holds the byte 0x00, .* not UTF-16.* Save it"),
        (b"x\0\n\0", None, "neither CSV"),
        (b"\xff\xfex\0\0\0", None, "neither CSV"),
        (b"\x89PNG\r\n\x1a\n\0", "cp1252", "neither CSV"),
    ],
)
def test_what_cannot_be_decoded_is_said(raw, encoding, message):
    with pytest.raises(UnusableTable, match=message):
        to_utf8(raw, encoding)
