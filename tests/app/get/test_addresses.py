"""Which addresses may be asked."""

import pytest

from app.errors import DownloadError
from app.get.addresses import Addresses

FILE = "https://data.example/a/b.gz"


def test_the_address_of_the_registry_is_asked_or_its_place_on_a_mirror():
    assert Addresses().first(FILE) == FILE
    assert Addresses("https://mirror.example/x/").first(FILE) == (
        "https://mirror.example/x/data.example/a/b.gz"
    )
    assert Addresses("http://127.0.0.1:80").is_local and not Addresses().is_local


@pytest.mark.parametrize(
    "mirror",
    ["http://mirror.example", "file:///srv", "ftp://127.0.0.1", "mirror", "https://me@mirror.example",
     "http://127.0.0.1.example", "http://10.0.0.1"],
)  # fmt: skip
def test_a_mirror_elsewhere_must_be_https(mirror):
    with pytest.raises(DownloadError, match="give an address that begins with https"):
        Addresses(mirror)


@pytest.mark.parametrize(
    "mirror", ["http://localhost:8000", "http://[::1]:8000", "http://127.0.0.1"]
)
def test_a_mirror_on_this_machine_may_lead_to_itself(mirror):
    assert Addresses(mirror).after(f"{mirror}/a", "/b") == f"{mirror}/b"


def test_redirects_lead_to_https_alone():
    addresses = Addresses()
    assert addresses.after(FILE, "/c") == "https://data.example/c"
    assert addresses.after(FILE, "https://cdn.example/c?x=1") == "https://cdn.example/c?x=1"
    for bad in ("http://data.example/c", "file:///etc/passwd", "ftp://x/y", "https://me@x/y",
                "http://127.0.0.1/c"):  # fmt: skip
        with pytest.raises(DownloadError, match="does not begin with https"):
            addresses.after(FILE, bad)
    with pytest.raises(DownloadError, match="does not begin with https"):
        Addresses("http://127.0.0.1:8000").after("http://127.0.0.1:8000/a", "http://127.0.0.1:9/b")
