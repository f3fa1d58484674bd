"""What agents may post: triage of one ticket, of many, notes, replies."""

from django import forms
from django.contrib.auth.models import AbstractUser
from django.http import QueryDict

from support.back_office.agents import list_agents
from support.messages import LONGEST_MESSAGE
from support.triage import Changes, Keep, Priority, Tag, TicketState

LONGEST_NOTE = 20_000
NOBODY = "nobody"


def split_tags(text: str) -> list[str]:
    """The names in a comma-separated line, lower-case, each once."""
    names = (" ".join(name.split()).lower() for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name))


def get_tags(names: list[str]) -> list[Tag]:
    """The tags of these names; new ones are created."""
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    return list(Tag.objects.filter(name__in=names))


class TagsField(forms.CharField):
    """Comma-separated names."""

    def clean(self, value: object) -> list[str]:
        names = split_tags(super().clean(value))
        if any(len(name) > 40 for name in names):
            raise forms.ValidationError("A tag has at most 40 characters.")
        return names


class AgentField(forms.Field):
    """A staff account's id, "nobody", or nothing, which leaves the assignee alone."""

    def clean(self, value: object) -> AbstractUser | Keep | None:
        text = super().clean(value)
        if not text:
            return Keep.AS_IT_IS
        if text == NOBODY:
            return None
        chosen = [agent for agent in list_agents() if str(agent.pk) == text]
        if not chosen:
            raise forms.ValidationError("That agent is not here any more.")
        return chosen[0]


class ChangeForm(forms.Form):
    """State, priority and assignee; what is empty is left alone."""

    # The field with tags to add, which may name new ones.
    adds_tags = ""

    state = forms.ChoiceField(choices=[("", ""), *TicketState.choices], required=False)
    priority = forms.TypedChoiceField(
        choices=[("", ""), *Priority.choices], coerce=int, empty_value=None, required=False
    )
    assignee = AgentField(required=False)

    def __init__(self, data: QueryDict, *, agent: AbstractUser) -> None:
        super().__init__(data)
        self.agent = agent

    def clean(self) -> None:
        """Leave new tags to those who may add one, lest a typo become everybody's tag."""
        before = self.cleaned_data.get("was_tags") or []
        names = [n for n in self.cleaned_data.get(self.adds_tags) or [] if n not in before]
        if not names or self.agent.has_perm("support.add_tag"):
            return
        known = set(Tag.objects.filter(name__in=names).values_list("name", flat=True))
        if unknown := ", ".join(f"“{name}”" for name in names if name not in known):
            self.add_error(
                self.adds_tags, f"There is no tag {unknown}. A supervisor can add it under Tags."
            )

    def changes(self) -> Changes:
        """The arguments of TriageQuerySet.change()."""
        return Changes(
            state=self.cleaned_data["state"] or None,
            priority=self.cleaned_data["priority"],
            assignee=self.cleaned_data["assignee"],
        )


class TriageForm(ChangeForm):
    """A ticket's own form. It says what the page showed, so only what the agent changed counts."""

    adds_tags = "tags"
    tags = TagsField(required=False, max_length=1000)
    was_state = forms.CharField(required=False)
    was_priority = forms.CharField(required=False)
    was_assignee = forms.CharField(required=False)
    was_tags = TagsField(required=False, max_length=1000)

    def changes(self) -> Changes:
        changes = super().changes()
        if not self._is_changed("state"):
            changes["state"] = None
        if not self._is_changed("priority"):
            changes["priority"] = None
        if not self._is_changed("assignee"):
            changes["assignee"] = Keep.AS_IT_IS
        before, after = (set(self.cleaned_data[name]) for name in ("was_tags", "tags"))
        changes["add_tags"] = get_tags(sorted(after - before))
        changes["remove_tags"] = list(Tag.objects.filter(name__in=before - after))
        return changes

    def _is_changed(self, name: str) -> bool:
        now: object = self.data.get(name, "")
        before: object = self.data.get(f"was_{name}", "")
        return now != before


class BulkForm(ChangeForm):
    """The same for every ticket that is ticked."""

    adds_tags = "add_tags"
    add_tags = TagsField(required=False, max_length=1000)
    remove_tags = TagsField(required=False, max_length=1000)

    def changes(self) -> Changes:
        changes = super().changes()
        changes["add_tags"] = get_tags(self.cleaned_data["add_tags"])
        changes["remove_tags"] = list(Tag.objects.filter(name__in=self.cleaned_data["remove_tags"]))
        return changes


AFTER_AN_ANSWER = (TicketState.WAITING, TicketState.SOLVED, TicketState.OPEN)


class WrittenField(forms.CharField):
    """Text of several lines, whose line breaks count one character, as in the browser's box.

    A browser sends each as CR LF.
    """

    def to_python(self, value: object) -> str:
        text = super().to_python(value) or ""
        return text.replace("\r\n", "\n").replace("\r", "\n")


class NoteForm(forms.Form):
    text = WrittenField(max_length=LONGEST_NOTE)


class ReplyForm(forms.Form):
    """`seen` is the newest timeline entry that the agent's page showed."""

    text = WrittenField(max_length=LONGEST_MESSAGE)
    seen = forms.IntegerField(min_value=0, required=False)
    confirmed = forms.BooleanField(required=False)
    # The ticket's state once the answer is written.
    then = forms.ChoiceField(choices=[(state, state) for state in AFTER_AN_ANSWER], required=False)


class SaveViewForm(forms.Form):
    name = forms.CharField(max_length=60)
    query = forms.CharField(max_length=1000, required=False)
    shared = forms.BooleanField(required=False)
