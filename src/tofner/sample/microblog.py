"""Words and post forms of the generated microblog (see `sample`): other names and other ways to say things than in the
newswire, and names made of common words that also occur as such (the `plain` kind)."""

from tofner.sample import news
from tofner.sample.kinds import Form, Kind, cross, words

NICKS = words("""
jaz kev deebo tasha lil manny shay trix bex dre ollie pip roxy zeke nana coco juju tate finn skye remy indie
brody kiki moxie ziggy lola bo teddy""")
STARS = cross(
    ["Kaya", "Jett", "Wren", "Nova", "Dax", "Lumi", "Sable", "Rio"],
    ["Vale", "Monroe", "Fox", "Winters", "Blaze", "Storm", "Rivers"],
)
TOWNS = words("""
Pellworth Garston Oakmere Tilbrook Wexley Sandrift Brindle Calder Foxham Muckleford Dunmoor Larkspur Eastwick
Harbury Quillan Stonebeck""")
TOWNS += ["Salt Creek", "Maple Falls", "Port Ames", "Lower Wick", "Three Rivers"]
VENUES = cross(
    ["Rusty", "Velvet", "Copper", "Blue", "Lucky", "Hungry"], ["Anchor", "Kettle", "Parrot", "Barrel", "Room"]
)
BANDS = [
    "Paper Lanterns",
    "Late Buses",
    "Cold Pizza",
    "Honest Liars",
    "Glass Oceans",
    "Monday Club",
    "Loud Neighbours",
    "Sunday Rain",
    "Wet Paint",
    "Broken Umbrellas",
    "Second Coffee",
    "Traffic Lights",
    "Spare Keys",
]
APPS = words("""
Snippit Chattr Loopd Pingo Zapp Vibely Munchr Hoppr Trackly Bubbl Notely Fetchd Wink Swirl Ripple Spark""")
SQUADS = words("""Otters Hornets Badgers Comets Miners Wolves Ravens Pirates Giants Kings Rockets Sharks Bulls""")
SHOWS = [
    "Night Kitchen",
    "The Long Weekend",
    "Cat People",
    "Dead Signal",
    "Love on Ice",
    "The Last Bus",
    "Crown Heights",
    "Bad Landlords",
    "Ghost Train",
    "Baking Wars",
    "Small Hours",
    "Cold Pizza Nights",
]
GADGETS = cross(["Orb", "Slate", "Pixie", "Nimbus", "Volt"], ["4", "X", "Mini", "Pro"])
GADGETS += [
    "Dragon Saga",
    "Block Party",
    "Sky Racers",
    "Farm Life",
]

KINDS: dict[str, Kind] = {
    "pal": Kind("PER", NICKS + news.FIRST[:8], rare=0.0),
    "star": Kind("PER", STARS, rare=0.25),
    "town": Kind("LOC", news.CITIES[:10] + TOWNS, rare=0.25),
    "venue": Kind("LOC", VENUES, rare=0.25),
    "band": Kind("ORG", BANDS, rare=0.2),
    "app": Kind("ORG", APPS, rare=0.2),
    "squad": Kind("ORG", SQUADS, rare=0.2),
    "show": Kind("MISC", SHOWS, rare=0.2),
    "gadget": Kind("MISC", GADGETS, rare=0.2),
    "country": Kind("LOC", news.COUNTRIES),
    "nation": Kind("MISC", news.NATIONS),
    "event": Kind("MISC", news.EVENTS),
    "company": Kind("ORG", news.COMPANIES),
    "person": Kind("PER", cross(news.FIRST, news.LAST)),
    "plain": Kind(
        "",
        [
            "paper lanterns",
            "late buses",
            "cold pizza",
            "wet paint",
            "traffic lights",
            "spare keys",
            "ghost train",
            "small hours",
            "the last bus",
            "glass",
            "giants",
            "a wink",
            "the kings",
            "wolves",
            "rockets",
            "a spark",
            "a kettle",
            "a parrot",
            "sunday rain",
            "bad landlords",
        ],
    ),
    "mood": Kind(
        "", ["so tired", "so happy", "dead", "shook", "obsessed", "hungry", "not ok", "crying", "hyped", "bored"]
    ),
    "when": Kind("", ["tonight", "tomorrow", "rn", "this weekend", "at 8", "after work", "again", "all day", "soon"]),
    "thing": Kind(
        "",
        [
            "my phone",
            "my hair",
            "breakfast",
            "homework",
            "the gym",
            "my ex",
            "laundry",
            "coffee",
            "my dog",
            "the wifi",
            "rent",
            "my playlist",
        ],
    ),
    "num": Kind("", [str(n) for n in range(2, 30)]),
    "handle": Kind(
        "",
        [
            f"@{name}{n}"
            for n, name in enumerate(
                ["jo_", "its_me", "tk", "realmax", "sunny", "bluecat", "dj_pat", "mrs_b", "xoxo", "gamer"], start=11
            )
        ],
    ),
    "tag": Kind(
        "",
        [
            "#mood",
            "#fail",
            "#tbt",
            "#nofilter",
            "#win",
            "#blessed",
            "#mondays",
            "#squadgoals",
            "#goals",
            "#nowplaying",
            "#foodie",
            "#cantwait",
        ],
    ),
}

FORMS: list[Form] = [
    Form("omg {star} just liked my post", {"star": "Who liked the post?"}),
    Form(
        "who else is going to see {band} at {venue} {when} ?",
        {"band": "Which act is playing?", "venue": "At what spot is the show?"},
    ),
    Form("{pal} if you are late {when} i swear", {"pal": "Who must not be late?"}),
    Form("stuck in {town} {when} , {mood}", {"town": "Where is the user stuck?"}),
    Form("cannot stop listening to {band} and {band2} {when}", {"band": "Which act besides {band2} is on repeat?"}),
    Form("ok but {show} was actually good ? {mood}", {"show": "What was actually good?"}),
    Form("why is {app} down again , {mood}", {"app": "What is down again?"}),
    Form(
        "{squad} by {num} , {squad2} fans are so quiet",
        {"squad": "Which side is ahead?", "squad2": "Whose fans are quiet?"},
    ),
    Form("got the new {gadget} and {thing} is already broken", {"gadget": "What did the user get?"}),
    Form("lmao {pal} fell asleep in {venue}", {"pal": "Who fell asleep?", "venue": "Where did {pal} fall asleep?"}),
    Form(
        "road trip to {town} with {pal} and {pal2} {when}",
        {"town": "Where does the trip go?", "pal": "Who comes along besides {pal2}?"},
    ),
    Form("{mood} because of {plain} and {thing}"),
    Form("there is {plain} all over {thing} help"),
    Form("i just want {plain} and {thing} {when}"),
    Form("{handle} are you coming {when} ? bring {pal}", {"pal": "Who should be brought along?"}),
    Form("{handle} no way , {thing} is {mood}"),
    Form("{show} marathon {when} , {pal} brings {plain}", {"show": "What will they watch?"}),
    Form(
        "happy birthday {pal} ! see you in {town} {when}",
        {"pal": "Whose birthday is it?", "town": "Where will they meet?"},
    ),
    Form("{app} keeps deleting {thing} . switching to {app2}", {"app2": "What does the user switch to?"}),
    Form("{star} at {venue} was everything , {mood}", {"star": "Who was on stage?"}),
    Form(
        "still thinking about {star} in {show}",
        {"star": "Whom does the user think about?", "show": "In what did {star} act?"},
    ),
    Form("anyone selling {num} tickets for {squad} {when} ?", {"squad": "For whom are tickets wanted?"}),
    Form("{band} > {band2} fight me", {"band": "Which act is the better one?"}),
    Form("playing {gadget} {when} who is in", {"gadget": "What is being played?"}),
    Form("moving to {town} , who knows a place near {venue} ?", {"town": "Where does the user move?"}),
    Form("my mom thinks {star} is {pal} 's cousin", {"star": "Who is taken for a cousin?"}),
    Form("no {thing} no {plain} just {mood} {when}"),
    Form("{town} is freezing , {thing} is {mood}", {"town": "Where is it freezing?"}),
    Form("miss you {pal} , {town} is not the same", {"pal": "Who is missed?"}),
    Form("{num} days till {band} , {mood}", {"band": "For which act do they wait?"}),
    Form("{thing} and {thing2} {when} , {mood}"),
    Form("craving {nation} food {when}", {"nation": "What kind of food do they want?"}),
    Form(
        "anyone watching the {event} {when} ? come on {country}",
        {"event": "What is on?", "country": "Which side do they support?"},
    ),
    Form("{company} put me on hold for {num} minutes , {mood}", {"company": "Who let the user wait?"}),
    Form("met {person} at {venue} , so nice", {"person": "Who was so nice?", "venue": "Where did they meet?"}),
    Form("take me back to {country} , {mood}", {"country": "Where does the user want to be?"}),
    Form(
        "my {nation} teacher loves {show} lol",
        {"nation": "Of what nationality is the teacher?", "show": "What does the teacher love?"},
    ),
    Form("{person} said {thing} is over ? {mood}", {"person": "Who said that?"}),
    Form("somebody tell {pal} the {squad} lost", {"pal": "Who should be told?", "squad": "Who lost?"}),
]

SHORTER = {
    "you": "u",
    "are": "r",
    "tomorrow": "tmrw",
    "tonight": "2nite",
    "because": "bc",
    "to": "2",
    "for": "4",
    "please": "plz",
    "people": "ppl",
    "with": "w",
    "why": "y",
    "and": "n",
    "though": "tho",
    "the": "da",
}
EMOJI = ["😂", "😭", "🔥", "🙌", "💀", "❤️", "😍", "👀", "✨", "🎉"]
OPENERS = ["RT {handle} :", "{handle}", "ugh", "lol", "yo", "ok so"]
