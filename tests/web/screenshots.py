"""Pictures of the pages' main states for the documents, over an invented region. Usage:
screenshots.py FOLDER"""

import math
import pathlib
import random
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

# pylint: disable=wrong-import-position
from browser import Browser  # noqa: E402
from minting import sub_of  # noqa: E402
import veche  # noqa: E402

MOST_BYTES = 150_000
CITY_DISTRICTS = ["Заречный", "Набережный", "Старый город", "Южный"]
DISTRICTS = {
    "Берёзовский": ["Берёзовка", "Каменный Лог", "Светлое"],
    "Ёлкинский": ["Ёлкино", "Зимник", "Малая Речка", "Щёлково"],
    "Луговой": ["Борки", "Луговое", "Новый Мост"],
    "Озёрный": ["Большое Озеро", "Рыбачье"],
    "Степной": ["Ковыльное", "Степное", "Ясная Поляна"],
}
QUESTION = {
    "id": "q1", "title": {"ru": "Что сделать на набережной в первую очередь?",
                          "en": "What should be done on the embankment first?"},
    "kind": "single", "min": 1, "max": 1,
    "options": [
        {"id": "path", "title": {"ru": "Дорожка для пешеходов и велосипедов",
                                 "en": "A path for walking and cycling"}},
        {"id": "beach", "title": {"ru": "Пляж с раздевалками и спасателями",
                                  "en": "A beach with cabins and lifeguards"}},
        {"id": "light", "title": {"ru": "Освещение", "en": "Lighting"}},
        {"id": "none", "title": {"ru": "Ничего не менять", "en": "Leave it as it is"}}]}
WEIGHTS = [41, 33, 19, 7]


def region():
    rows = ["oktmo8,name,kind,level,parent_oktmo8", "90000000,Приозёрная область,region,0,",
            "90701000,Приозёрск,city_okrug,1,90000000"]
    rows += [f"907013{i}0,{name} район,intra_city_district,2,90701000"
             for i, name in enumerate(CITY_DISTRICTS)]
    for d, (district, places) in enumerate(DISTRICTS.items()):
        rows.append(f"906{d:02}000,{district} район,municipal_district,1,90000000")
        rows += [f"906{d:02}4{p:02},{place},rural_settlement,2,906{d:02}000"
                 for p, place in enumerate(places)]
    return "\n".join(rows) + "\n"


def homes(tree):
    """Codes without others below, the city's the likeliest."""
    codes = [row.split(",")[0] for row in tree.splitlines()[1:]]
    leaves = [code for code in codes if code.startswith(("907013",)) or code[5] == "4"]
    return leaves, [12 / math.sqrt(1 + i) for i in range(len(leaves))]


def poll(name, russian, english, **more):
    more = {"targets": ("90000000",), "closes_in": 5 * 86400, **more}
    return veche.poll(name, QUESTION, **more) | {"title": {"ru": russian, "en": english}}


def fill(server, tree):
    embankment = poll("embankment", "Набережная: с чего начать", "The embankment: where to begin",
                      expected_voters={"90000000": 52_000, "90701000": 31_000})
    server.open_poll(embankment)
    server.open_poll(poll("park", "Парк у вокзала: название", "The park at the station: its name",
                          visibility="after_close"))
    server.open_poll(poll("budget", "Бюджет посёлков на будущий год", "Budget of the settlements",
                          disclosure={"mode": "steps", "k": 10}, targets=("90601000", "90604000")))
    server.create_poll(poll("bus", "Маршруты автобусов весной", "Bus routes in spring",
                            opens_in=20 * 86400, closes_in=30 * 86400))
    server.open_poll(poll("shore", "Берег у Ёлкина", "The shore at Yolkino",
                          targets=("90601400",)))
    chance = random.Random(7)
    leaves, crowds = homes(tree)
    vote(server, "embankment", 8_417, chance, leaves, crowds)
    vote(server, "shore", 312, chance, ["90601400"], [1])
    server.change_poll("shore", "close")
    while server.change_poll("shore", "certify").code == "not-final":
        time.sleep(0.1)


def vote(server, name, voters, chance, leaves, crowds):
    lines = [server.line(name, sub_of(name, i),
                         chance.choices(["path", "beach", "light", "none"], WEIGHTS)[0],
                         chance.choices(leaves, crowds)[0]) for i in range(voters)]
    answer = server.post_batch(lines).json()
    if answer["accepted"] != len(lines):
        raise SystemExit(answer)


def keep_voting(server, stop):
    """Single ballots, so that the page of the load has something to show."""
    with server.connect() as connection:
        for i in range(100_000):
            if stop.is_set():
                return
            token = server.issuer.vote("park", sub_of("park", i), "90701310")
            connection.request("POST", "/v1/polls/park/ballots", veche.answers(["path"]),
                               token=token)


def pictures(server):
    metrics = server.errors().split("metrics at ")[1].split("/metrics")[0]
    wide = {"width": 1120, "height": 900}
    phone = {"width": 360, "height": 720, "scale": 2}
    return [
        ("polls", server.url + "/?lang=ru", wide, None),
        ("poll", server.url + "/polls/embankment?lang=ru", wide, None),
        ("poll-dark", server.url + "/polls/embankment?lang=en", {**wide, "dark": True}, None),
        ("territories", server.url + "/polls/embankment?lang=ru", wide, ".territories"),
        ("poll-phone", server.url + "/polls/embankment?lang=ru", phone, None),
        ("hidden-phone", server.url + "/polls/park?lang=ru", phone, None),
        ("certified", server.url + "/polls/shore?lang=en", wide, None),
        ("load", metrics + "/load?lang=en", {**wide, "height": 700}, None),
    ]


def take(browser, folder, name, url, options, section):
    path = folder / f"{name}.png"
    with browser.open(**options) as tab:
        tab.goto(url)
        if tab.text(".pause"):
            tab.wait("document.querySelector('.fresh').dataset.status === 'live'")
        if name == "load":
            tab.wait("document.querySelectorAll('.line')[0].getAttribute('d').length > 120", 30)
        if section:
            tab.evaluate(f"document.querySelector('{section}').scrollIntoView()")
        tab.picture(path)
    subprocess.run(["pngquant", "--force", "--strip", "--ext", ".png", "64", path], check=True)
    size = path.stat().st_size
    print(f"{path}: {size} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tree = region()
    server = veche.Server(territories=tree)
    browser = Browser()
    stop = threading.Event()
    voting = threading.Thread(target=keep_voting, args=(server, stop))
    try:
        server.start()
        fill(server, tree)
        voting.start()
        for picture in pictures(server):
            take(browser, folder, *picture)
    finally:
        stop.set()
        if voting.is_alive():
            voting.join()
        browser.close()
        server.close()


if __name__ == "__main__":
    main()
