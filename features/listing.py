"""What is registered, for people: who owns a feature, what it means, how long it counts."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView, Field, OnDemandFeatureView


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A view or service of the registry. `ttl_days` is 0 where age does not matter."""

    name: str
    kind: str
    owner: str
    description: str
    entities: tuple[str, ...] = ()
    ttl_days: float = 0.0
    features: tuple[dict[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The shape of `features list --json`."""
        return asdict(self)


def registered(store: "FeatureStore") -> list[Registered]:
    """Every view and service, in the order of use: views, on-demand views, services."""
    return [
        *(_view(view) for view in store.list_feature_views()),
        *(_on_demand(view) for view in store.list_on_demand_feature_views()),
        *(_service(service) for service in store.list_feature_services()),
    ]


def _view(view: "FeatureView") -> Registered:
    return Registered(
        name=view.name,
        kind="view",
        owner=view.owner,
        description=view.description,
        entities=tuple(view.entities),
        ttl_days=view.ttl.total_seconds() / 86_400 if view.ttl else 0.0,
        features=_features(view.features),
    )


def _on_demand(view: "OnDemandFeatureView") -> Registered:
    return Registered(
        name=view.name,
        kind="on-demand view",
        owner=view.owner,
        description=view.description,
        features=_features(view.features),
    )


def _service(service: "FeatureService") -> Registered:
    used = [
        {"name": f"{projection.name}:{feature.name}", "type": str(feature.dtype), "description": feature.description}
        for projection in service.feature_view_projections
        for feature in projection.features
    ]
    return Registered(
        name=service.name,
        kind="service",
        owner=service.owner,
        description=service.description,
        features=tuple(used),
    )


def _features(fields: Iterable["Field"]) -> tuple[dict[str, str], ...]:
    return tuple({"name": f.name, "type": str(f.dtype), "description": f.description} for f in fields)
