"""Words and sentence forms of the generated newswire (see `sample`). Names are invented or plain geography.

A form is a sentence with `{slots}`, and questions that one of its slots answers. A slot is a kind, with a number where
a form has several of it. `KINDS` gives each kind its entity type ("" for none) and its words.
"""

from tofner.sample.kinds import Form, Kind, cross, words

FIRST = words("""
Peter Maria Johann Helena Carlos Ingrid Victor Nadia Thomas Elena Andrei Judith Stephan Claire Dmitri Rosa Martin
Beatriz Henrik Susan Paolo Yvonne Richard Amina Gerard Olga Kenneth Lucia Walter Sofia Ibrahim Margaret Leon
Patricia""")
LAST = words("""
Haldane Orlov Brandt Castellan Lindqvist Moreau Petrakis Novotny Ferrand Okafor Tanaka Whitcombe Sorensen Valdez
Kessler Marchetti Dubrov Aldana Prescott Ionescu Rahmani Vestergaard Colbert Zielinski Hartwell Mbeki Santoro Quist
Albrecht Norwood Farouk Ostrander Delacroix Szabo Carmody Ulrich""")
CITIES = words("""
London Paris Geneva Brussels Moscow Vienna Madrid Cairo Tokyo Jakarta Ankara Warsaw Lagos Nairobi Bogota Lima
Toronto Frankfurt Zurich Milan Rotterdam Hamburg Bombay Manila Baghdad Prague Lisbon Stockholm Montreal Dublin""")
CITIES += ["Hong Kong", "New York", "Buenos Aires", "Tel Aviv", "Mexico City", "Cape Town", "San Sebastian"]
COUNTRIES = words("""
Germany France Russia Italy Spain Egypt Japan Indonesia Turkey Poland Nigeria Kenya Colombia Peru Canada
Brazil Norway Sweden Belgium Austria Portugal Ireland Iraq Iran Syria Chile Hungary Bulgaria Romania Pakistan""")
COUNTRIES += ["South Africa", "Sri Lanka", "New Zealand", "Saudi Arabia", "Costa Rica"]
NATIONS = words("""
German French Russian Italian Spanish Egyptian Japanese Indonesian Turkish Polish Nigerian Kenyan Colombian
Canadian Brazilian Norwegian Swedish Belgian Austrian Portuguese Irish Iraqi Iranian Syrian Chilean
Hungarian""")
STEMS = words("""
Northgate Halvorsen Meridian Castor Brixton Alderman Polaris Trident Westmark Orion Kestrel Summit Vanguard
Lombard Sterling Harrow Delmar Ashford""")
COMPANIES = cross(
    STEMS, ["Corp", "Inc", "Holdings", "Industries", "Bank", "Airlines", "Petroleum", "Motors", "Group", ""]
)
AGENCIES = [
    "Ministry of Finance",
    "Foreign Ministry",
    "Central Bank",
    "European Commission",
    "Labour Party",
    "Interpol",
    "United Nations",
    "World Bank",
    "Supreme Court",
    "Social Democrats",
    "National Assembly",
    "UNICEF",
    "Red Cross",
    "Trade Council",
    "Senate",
    "Democratic Front",
    "Customs Authority",
    "Reuters",
]
CLUBS = cross([c for c in CITIES if " " not in c], ["United", "Rovers", "City", ""])
CLUBS += [
    "Ajax",
    "Rangers",
    "Sporting",
    "Dynamo",
    "Juventus",
    "Olympiakos",
    "Celtic",
    "Real Madrid",
]
EVENTS = cross(["World", "European", "Asian", "African", "Nordic", "Davis"], ["Cup", "Championship", "Games"])
EVENTS += ["Wimbledon", "Tour de France", "Gulf War", "Cold War", "Nobel Peace Prize", "Ryder Cup", "Olympics"]
TITLES = cross(
    ["The Silent", "The Glass", "A Distant", "Crimson", "The Winter"], ["River", "Garden", "Promise", "Harbour"]
)
PRODUCTS = cross(["Falcon", "Aurora", "Zenith", "Comet"], ["200", "XL", "Turbo", ""])
SQUADS = words("Mariners Falcons Bears Tigers Cougars Lions Hawks Rams Colts Saints Blazers Chargers")
SITES = cross(["Grand", "Central", "Olympic", "Royal", "Victoria"], ["Hotel", "Station", "Stadium", "Theatre", "Park"])

KINDS: dict[str, Kind] = {
    "per": Kind("PER", cross(FIRST, LAST)),
    "last": Kind("PER", LAST),
    "city": Kind("LOC", CITIES),
    "country": Kind("LOC", COUNTRIES),
    "company": Kind("ORG", COMPANIES),
    "agency": Kind("ORG", AGENCIES),
    "club": Kind("ORG", CLUBS),
    "nation": Kind("MISC", NATIONS),
    "event": Kind("MISC", EVENTS),
    "first": Kind("PER", FIRST),
    "title": Kind("MISC", TITLES),
    "product": Kind("MISC", PRODUCTS),
    "squad": Kind("ORG", SQUADS),
    "site": Kind("LOC", SITES),
    "day": Kind("", words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")),
    "num": Kind("", [str(n) for n in range(3, 98)]),
    "year": Kind("", [str(n) for n in range(1979, 1998)]),
    "score": Kind("", ["1-0", "2-1", "3-1", "0-0", "2-2", "6-3 6-4", "7-5 6-2", "4-0"]),
    "post": Kind(
        "",
        [
            "president",
            "prime minister",
            "foreign minister",
            "spokesman",
            "analyst",
            "chairman",
            "coach",
            "ambassador",
            "judge",
            "governor",
        ],
    ),
    "topic": Kind(
        "",
        [
            "the budget",
            "a ceasefire",
            "new tariffs",
            "the peace talks",
            "oil exports",
            "the election",
            "pension reform",
            "the border dispute",
            "interest rates",
            "nuclear inspections",
            "a trade deal",
        ],
    ),
    "goods": Kind("", ["wheat", "steel", "crude oil", "coffee", "copper", "textiles", "cement", "natural gas"]),
    "people": Kind("", ["soldiers", "farmers", "workers", "refugees", "students", "passengers", "officials"]),
    "deed": Kind("", ["arrested", "injured", "released", "evacuated", "questioned", "rescued"]),
    "fact": Kind("", ["prices of bread and milk", "rain in the north", "a strike of bus drivers", "late trains"]),
}

FORMS: list[Form] = [
    Form(
        "{per} , the {nation} {post} , told reporters in {city} on {day} that talks about {topic} would go on .",
        {"per": "Who spoke to reporters about {topic}?", "city": "Where did {per} speak to reporters?"},
    ),
    Form(
        "{company} said on {day} its net profit rose {num} percent in {year} .",
        {"company": "Whose profit rose {num} percent?"},
    ),
    Form(
        "{country} will not give in over {topic} , {post} {per} said .",
        {"country": "Which state will not give in over {topic}?", "per": "Who said that {country} will not give in?"},
    ),
    Form(
        "{num} {people} were {deed} near {city} , {agency} officials said .",
        {"city": "Near which town were {people} {deed}?", "agency": "Whose officials spoke of {num} {people}?"},
    ),
    Form(
        "{club} beat {club2} {score} in the {event} on {day} .",
        {
            "club": "Who won against {club2}?",
            "club2": "Whom did {club} beat?",
            "event": "In which contest did {club} win?",
        },
    ),
    Form("{city} , {country} {year}-{num} -"),
    Form(
        "{last} said {agency} had no plans to change {topic} .", {"last": "Who said there were no plans about {topic}?"}
    ),
    Form("The {agency} in {city} declined to comment on {topic} .", {"agency": "Who declined to comment?"}),
    Form(
        "{nation} exports of {goods} to {country} fell {num} percent last year , {company} data showed .",
        {"country": "Where did exports of {goods} go?", "company": "Whose data showed the fall?"},
    ),
    Form(
        "{per} ( {country} ) beat {per2} ( {country2} ) {score}",
        {"per": "Who beat {per2}?", "per2": "Who lost to {per}?"},
    ),
    Form(
        "Shares of {company} closed {num} points lower in {city} after {company2} withdrew its bid .",
        {"company": "Whose shares closed lower?", "company2": "Who withdrew a bid?"},
    ),
    Form(
        "{post} {last} leaves for {country} on {day} to sign an agreement on {goods} .",
        {"last": "Who leaves on {day}?", "country": "Where does {last} go?"},
    ),
    Form(
        "{nation} troops left {city} on {day} , ending {num} months of fighting .",
        {"city": "Which town did the troops leave?", "nation": "Of what nationality were the troops?"},
    ),
    Form("{per} scored twice as {club} drew {score} with {club2} .", {"per": "Who scored twice?"}),
    Form("Standings : {club} {num} {club2} {num2} {club3} {num3}"),
    Form("Fixtures on {day} : {club} {club2} , {club3} {club4}"),
    Form("Police in {city} {deed} {num} {people} during a rally against {topic} .", {"city": "Where was the rally?"}),
    Form(
        "A {nation} court sentenced {per} to {num} months in prison for selling {goods} to {country} .",
        {"per": "Who was sentenced?", "country": "To which state was {goods} sold?"},
    ),
    Form(
        "{company} named {per} {post} , replacing {last} , who joined {company2} .",
        {"per": "Who was named {post}?", "company2": "Which firm did {last} join?"},
    ),
    Form("Traders in {city} said {goods} prices were steady on {day} ."),
    Form("The {event} will be held in {city} in {year} .", {"event": "What will be held in {year}?"}),
    Form("{agency} approved a loan of {num} million dollars for {country} .", {"agency": "Who approved a loan?"}),
    Form('" We are concerned about {topic} , " {per} of the {agency} said .', {"per": "Who was concerned?"}),
    Form("{num} {people} were {deed} when a bus overturned on {day} , witnesses said ."),
    Form("The government said {goods} output would reach {num} million tonnes in {year} ."),
    Form(
        "{country} and {country2} agreed on {day} to resume {topic} .", {"country2": "With whom did {country} agree?"}
    ),
    Form("{nation} {post} {per} arrived in {city} for talks with {agency} .", {"per": "Who arrived in {city}?"}),
    Form("{last} , {num} , joined {club} from {club2} in {year} .", {"club": "Which side did {last} join?"}),
    Form(
        "The film {title} , with {per} , opened in {city} on {day} .",
        {"title": "Which film opened?", "per": "Who plays in {title}?"},
    ),
    Form("{company} will show its new {product} at a fair in {city} next month .", {"product": "What will be shown?"}),
    Form("{squad} {num} {squad2} {num2}"),
    Form(
        "The {squad} lost to the {squad2} on {day} after {last} was hurt .",
        {"squad": "Who lost?", "last": "Who was hurt?"},
    ),
    Form("Fans waited for {per} outside the {site} until {day} .", {"site": "Where did fans wait?"}),
    Form("{first} , {num} , has lived near the {site} since {year} .", {"first": "Who lives near the {site}?"}),
    Form("Readers liked {title} more than {title2} , {company} said .", {"title": "What did readers like more?"}),
    Form("On {day} {num} people complained about {fact} ."),
    Form("My son {first} bought a {product} in {city} , a witness said .", {"product": "What was bought?"}),
]
