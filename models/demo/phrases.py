"""The wording of every kind of problem in English, Chinese and Spanish.

`TEXTS[kind][language]` is a tuple of ways to ask. A template may name the numbers of the kind ({a}, {price}, ...) and
the derived words that `fields` adds. Code is the same in every language; only the question around it changes.
"""

WORDS = {
    "en": {
        "days": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        "months": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                   "November", "December"),
        "date": "{day} {month}",
        "names": ("Ann", "Bob", "Eva", "Leo", "Mia", "Tom", "Zoe", "Max"),
        "above": " > ",
        "yes": "yes", "no": "no",
        "things": ("coat", "lamp", "chair", "bag", "book", "phone"),
        "change": ("falls", "rises"),
        "units": (("weeks", "days"), ("days", "hours"), ("hours", "minutes"), ("years", "months"), ("metres", "centimetres")),
        "both": ("in A but not in B", "in both A and B"),
        "extreme": ("smallest", "largest"),
        "sort": ("descending", "ascending"),
    },
    "zh": {
        "days": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
        "months": tuple(f"{m}月" for m in range(1, 13)),
        "date": "{month}{day}日",
        "names": ("小明", "小红", "小李", "小王", "小张", "小刘", "小陈", "小林"),
        "above": ">",
        "yes": "是", "no": "否",
        "things": ("大衣", "台灯", "椅子", "书包", "书", "手机"),
        "change": ("下降", "上涨"),
        "units": (("周", "天"), ("天", "小时"), ("小时", "分钟"), ("年", "个月"), ("米", "厘米")),
        "both": ("在A中但不在B中", "同时在A和B中"),
        "extreme": ("最小", "最大"),
        "sort": ("从大到小", "从小到大"),
    },
    "es": {
        "days": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        "months": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
                   "noviembre", "diciembre"),
        "date": "{day} de {month}",
        "names": ("Luis", "Leo", "Pablo", "Hugo", "Juan", "Iván", "Raúl", "Marco"),
        "above": " > ",
        "yes": "sí", "no": "no",
        "things": ("abrigo", "reloj", "sofá", "bolso", "libro", "teléfono"),
        "change": ("baja", "sube"),
        "units": (("semanas", "días"), ("días", "horas"), ("horas", "minutos"), ("años", "meses"), ("metros", "centímetros")),
        "both": ("están en A pero no en B", "están en A y en B"),
        "extreme": ("menor", "mayor"),
        "sort": ("mayor a menor", "menor a mayor"),
    },
}

# Comparisons of people: (more, most, least), one row per quality.
QUALITIES = {
    "en": (("older", "the oldest", "the youngest"), ("taller", "the tallest", "the shortest"),
           ("faster", "the fastest", "the slowest")),
    "zh": (("大", "年龄最大", "年龄最小"), ("高", "最高", "最矮"), ("快", "最快", "最慢")),
    "es": (("mayor", "el mayor", "el menor"), ("más alto", "el más alto", "el más bajo"),
           ("más rápido", "el más rápido", "el más lento")),
}
COMPARES = {"en": "{x} is {more} than {y}.", "zh": "{x}比{y}{more}。", "es": "{x} es {more} que {y}."}

PRINTS = {
    "en": ("What does this code print?\n{code}", "Trace this code and give its output.\n{code}"),
    "zh": ("这段代码输出什么？\n{code}", "请跟踪这段代码，给出输出。\n{code}"),
    "es": ("¿Qué imprime este código?\n{code}", "Sigue este código y da su salida.\n{code}"),
}

CODE = {
    "assign": "a = {a}\nb = a {first} {b}\nc = b {second} {c}\nprint(c)",
    "loop": "x = {start}\nfor i in range({times}):\n    x = x + {step}\nprint(x)",
    "branch": "x = {x}\nif x {sign} {limit}:\n    x = x + {yes}\nelse:\n    x = x - {no}\nprint(x)",
    "index": "v = {values}\nprint(v[{i}] {op} v[{j}])",
}

TEXTS = {
    "add": {
        "en": ("What is {a} + {b}?", "Add {a} and {b}."),
        "zh": ("{a} + {b} 等于多少？", "求 {a} 与 {b} 的和。"),
        "es": ("¿Cuánto es {a} + {b}?", "Suma {a} y {b}."),
    },
    "subtract": {
        "en": ("What is {a} - {b}?", "Subtract {b} from {a}."),
        "zh": ("{a} - {b} 等于多少？", "求 {a} 减去 {b} 的差。"),
        "es": ("¿Cuánto es {a} - {b}?", "Resta {b} de {a}."),
    },
    "multiply": {
        "en": ("What is {a} * {b}?", "Multiply {a} by {b}."),
        "zh": ("{a} * {b} 等于多少？", "求 {a} 与 {b} 的积。"),
        "es": ("¿Cuánto es {a} * {b}?", "Multiplica {a} por {b}."),
    },
    "percent": {
        "en": ("What is {rate}% of {base}?", "Find {rate} percent of {base}."),
        "zh": ("{base} 的 {rate}% 是多少？", "求 {base} 的百分之 {rate}。"),
        "es": ("¿Cuánto es el {rate}% de {base}?", "Halla el {rate} por ciento de {base}."),
    },
    "price_change": {
        "en": ("A {thing} costs ${price}. The price {change} by {rate}%. What is the new price?",
               "The price of a {thing} is ${price} and {change} by {rate}%. How much is it now?"),
        "zh": ("一件{thing}卖 {price} 元，价格{change} {rate}%，新价格是多少元？",
               "{thing}原价 {price} 元，{change} {rate}% 后是多少元？"),
        "es": ("Un {thing} cuesta {price} euros. El precio {change} un {rate}%. ¿Cuál es el nuevo precio?",
               "El precio de un {thing} es {price} euros y {change} un {rate}%. ¿Cuánto cuesta ahora?"),
    },
    "interest": {
        "en": ("You save ${principal} at {rate}% simple interest per year. How much interest after {years} years?",
               "What is the simple interest on ${principal} at {rate}% a year for {years} years?"),
        "zh": ("存入 {principal} 元，年利率 {rate}%（单利），{years} 年的利息是多少元？",
               "本金 {principal} 元，单利年利率 {rate}%，求 {years} 年的利息。"),
        "es": ("Ahorras {principal} euros al {rate}% de interés simple anual. ¿Cuánto interés hay en {years} años?",
               "¿Cuál es el interés simple de {principal} euros al {rate}% anual en {years} años?"),
    },
    "growth": {
        "en": ("You have ${start} and save ${step} every month. How much do you have after {times} months?",
               "An account holds ${start} and grows by ${step} a week. How much is in it after {times} weeks?"),
        "zh": ("你有 {start} 元，每月存 {step} 元，{times} 个月后有多少元？",
               "账户里有 {start} 元，每周增加 {step} 元，{times} 周后有多少元？"),
        "es": ("Tienes {start} euros y ahorras {step} euros cada mes. ¿Cuánto tienes tras {times} meses?",
               "Una cuenta tiene {start} euros y crece {step} euros por semana. ¿Cuánto hay tras {times} semanas?"),
    },
    "change_due": {
        "en": ("You buy {count} pens at ${price} each and pay with ${paid}. How much change do you get?",
               "{count} tickets cost ${price} each. You pay ${paid}. What is the change?"),
        "zh": ("买 {count} 支笔，每支 {price} 元，付 {paid} 元，找回多少元？",
               "{count} 张票，每张 {price} 元，付了 {paid} 元，应找多少元？"),
        "es": ("Compras {count} lápices a {price} euros cada uno y pagas {paid} euros. ¿Cuánto te devuelven?",
               "{count} entradas cuestan {price} euros cada una. Pagas {paid} euros. ¿Cuál es el cambio?"),
    },
    "weekday": {
        "en": ("Today is {weekday}. What day is it in {ahead} days?", "Which day comes {ahead} days after {weekday}?"),
        "zh": ("今天是{weekday}，{ahead} 天后是星期几？", "{weekday}之后第 {ahead} 天是星期几？"),
        "es": ("Hoy es {weekday}. ¿Qué día será en {ahead} días?", "¿Qué día es {ahead} días después del {weekday}?"),
    },
    "clock": {
        "en": ("A film starts at {time} and lasts {length} minutes. When does it end?",
               "What time is it {length} minutes after {time}?"),
        "zh": ("电影 {time} 开始，放映 {length} 分钟，几点结束？", "{time} 再过 {length} 分钟是几点？"),
        "es": ("Una película empieza a las {time} y dura {length} minutos. ¿Cuándo termina?",
               "¿Qué hora es {length} minutos después de las {time}?"),
    },
    "units": {
        "en": ("How many {units} are {big} {unit} and {small} {units}?", "Convert {big} {unit} and {small} {units} to {units}."),
        "zh": ("{big} {unit} {small} {units}一共是多少{units}？", "把 {big} {unit} {small} {units}换算成{units}。"),
        "es": ("Expresa en {units}: {big} {unit} y {small} {units}.",
               "Convierte {big} {unit} y {small} {units} a {units}."),
    },
    "date": {
        "en": ("Today is {date}. What is the date in {ahead} days?", "Which date is {ahead} days after {date}?"),
        "zh": ("今天是{date}，{ahead} 天后是几月几日？", "{date}之后第 {ahead} 天是几月几日？"),
        "es": ("Hoy es {date}. ¿Qué fecha será en {ahead} días?", "¿Qué fecha es {ahead} días después del {date}?"),
    },
    **{kind: {language: tuple(text.replace("{code}", code) for text in texts) for language, texts in PRINTS.items()}
       for kind, code in CODE.items()},
    "chain": {
        "en": ("{facts} Who is {asked}?",), "zh": ("{facts}谁{asked}？",), "es": ("{facts} ¿Quién es {asked}?",),
    },
    "sets": {
        "en": ("A = {{{seta}}}, B = {{{setb}}}. Which numbers are {both}?",
               "Given A = {{{seta}}} and B = {{{setb}}}, list the numbers {both}."),
        "zh": ("A = {{{seta}}}，B = {{{setb}}}。哪些数{both}？", "已知 A = {{{seta}}}，B = {{{setb}}}，列出{both}的数。"),
        "es": ("A = {{{seta}}}, B = {{{setb}}}. ¿Qué números {both}?",
               "Dados A = {{{seta}}} y B = {{{setb}}}, di qué números {both}."),
    },
    "extreme": {
        "en": ("Which number is the {which}: {list}?", "Find the {which} of {list}."),
        "zh": ("{list} 中哪个数{which}？", "找出 {list} 中{which}的数。"),
        "es": ("¿Qué número es el {which}: {list}?", "Halla el {which} de {list}."),
    },
    "sort": {
        "en": ("Sort {list} in {order} order.", "Write {list} in {order} order."),
        "zh": ("把 {list} {order}排列。", "请{order}写出 {list}。"),
        "es": ("Ordena {list} de {order}.", "Escribe {list} de {order}."),
    },
}


def fields(p, language, rng):
    """The numbers of a problem and the words derived from them, ready for a template of `language`."""
    words, f = WORDS[language], dict(p)
    f["thing"] = rng.choice(words["things"])
    if "up" in p:
        f["change"], f["order"] = words["change"][p["up"]], words["sort"][p["up"]]
    if "values" in p:
        f["list"] = ", ".join(map(str, p["values"]))
    if "day" in p and "month" not in p:
        f["weekday"] = words["days"][p["day"] - 1]
    if "month" in p:
        f["date"] = words["date"].format(day=p["day"], month=words["months"][p["month"] - 1])
    if "minute" in p:
        f["time"] = f"{p['hour']}:{p['minute']:02}"
    if "unit" in p:
        f["unit"], f["units"] = words["units"][p["unit"]]
    if "both" in p:
        f["seta"], f["setb"] = (", ".join(map(str, p[k])) for k in "ab")
        f["both"] = words["both"][p["both"]]
    if "values" in p and "most" in p:
        f["which"] = words["extreme"][p["most"]]
    if "names" in p:
        names = [words["names"][i] for i in p["names"]]
        more, most, least = rng.choice(QUALITIES[language])
        join = "" if language == "zh" else " "
        f["facts"] = join.join(COMPARES[language].format(x=x, y=y, more=more) for x, y in zip(names, names[1:]))
        f["asked"] = most if p["most"] else least
    return f


def ask(kind_name, p, language, rng):
    return rng.choice(TEXTS[kind_name][language]).format(**fields(p, language, rng))
