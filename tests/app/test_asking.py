"""What is asked beside the clicks is asked of the models that the visitor has chosen."""

from app.asking import Asker


def test_without_other_models_it_is_the_same_object(service):
    asker = Asker(service)
    assert asker.seen_with({"models": ["a", "b"]}) is asker
    assert asker.seen_with(None) is asker


def test_a_view_shares_everything_but_the_models(service, monkeypatch):
    asker, other = Asker(service), object()
    asker.places = object()
    monkeypatch.setattr(service, "seen_with", lambda raw: other)
    view = asker.seen_with({"models": ["a", "b"]})
    assert view._service is other and asker._service is service
    assert view.places is asker.places
